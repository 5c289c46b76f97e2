//! The answer in one datagram, as far as it arrived (RFC 1035 §4).

use hickory_resolver::proto::op::{Header, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};

/// The whole records of an answer to this question, as far as they go; none where the server failed or what came holds
/// no record of the kind that was asked for.
/// `None` when it is no such answer: another number, another question, or no answer at all.
pub fn read(octets: &[u8], id: u16, query: &Query) -> Option<Vec<Record>> {
    let mut decoder = BinDecoder::new(octets);
    let header = Header::read(&mut decoder).ok()?;
    let is_answer = header.metadata.id == id
        && header.metadata.message_type == MessageType::Response
        && header.counts.queries == 1;
    let asked = Query::read(&mut decoder).ok().filter(|_| is_answer)?;
    if asked.name() != query.name() || asked.query_type() != query.query_type() {
        return None;
    }
    if header.metadata.response_code != ResponseCode::NoError {
        return Some(Vec::new());
    }
    let mut records = Vec::new();
    for _ in 0..header.counts.answers {
        // The end of what was not cut off.
        let Ok(record) = Record::read(&mut decoder) else { break };
        records.push(record);
    }
    let has_kind = records.iter().any(|record| record.record_type() == query.query_type());
    Some(if has_kind { records } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::MX;
    use hickory_resolver::proto::rr::{Name, RData, RecordType};

    #[test]
    fn of_a_cut_answer_the_whole_records_count() {
        let name = Name::from_ascii("a.test.").unwrap();
        let query = Query::query(name.clone(), RecordType::MX);
        let mut message = Message::response(7, hickory_resolver::proto::op::OpCode::Query);
        message.add_query(query.clone());
        for n in 0..20 {
            let host = Name::from_ascii(format!("mx{n}.somewhere-else.test.")).unwrap();
            message.add_answer(Record::from_rdata(name.clone(), 60, RData::MX(MX::new(n, host))));
        }
        let whole = message.to_vec().unwrap();
        assert_eq!(read(&whole, 7, &query).unwrap().len(), 20);
        assert_eq!(
            (read(&whole, 8, &query), read(&whole, 7, &Query::query(name.clone(), RecordType::A))),
            (None, None)
        );
        let mut before = 20;
        for end in (0..whole.len()).rev() {
            let count = read(&whole[..end], 7, &query).map_or(0, |records| records.len());
            assert!(count <= before, "{end}");
            before = count;
        }
        let cut = read(&whole[..512.min(whole.len() - 1)], 7, &query).unwrap();
        assert!((5..20).contains(&cut.len()), "{}", cut.len());
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let query = Query::query(Name::from_ascii("a.test.").unwrap(), RecordType::MX);
            let mut wire = vec![0, 7, 0x80, 0, 0, 1, 0, 9, 0, 0, 0, 0, 1, b'a', 4, b't', b'e', b's', b't', 0, 0, 15, 0, 1];
            wire.extend_from_slice(&octets);
            for octets in [&wire[..], &octets[..]] {
                let _ = read(octets, 7, &query);
            }
        }
    }
}
