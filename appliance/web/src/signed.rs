//! Forms that change something: each must come from a page that its sender got.

use axum::Form;
use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::frame::{is_own, stale};
use crate::session::{Owner, Person, Visit, Visitor};

/// A form with values that may come several times.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of a name; empty where there is none.
    pub fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The first value of a name as an order; one that is missing or unknown is the type's default.
    pub fn order<O: DeserializeOwned + Default>(&self, name: &str) -> O {
        let word: StrDeserializer<'_, ValueError> = self.one(name).into_deserializer();
        O::deserialize(word).unwrap_or_default()
    }

    /// All values of a name, in order.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Who may send a form.
pub trait Sender: Sized {
    /// Who is asking, and from which session.
    fn who(&self) -> (&Visit, &Visitor);
}

impl Sender for Owner {
    fn who(&self) -> (&Visit, &Visitor) {
        (&self.0, &self.1)
    }
}

impl Sender for Person {
    fn who(&self) -> (&Visit, &Visitor) {
        (&self.0, &self.1)
    }
}

/// A form with the token of its sender's session in the field `token`.
/// Without it the answer says that the page is stale, and the handler is not called.
pub struct Signed<W, F>(pub W, pub F);

impl<S, W, F> FromRequest<S> for Signed<W, F>
where
    S: Send + Sync,
    W: Sender + FromRequestParts<S, Rejection = Response> + Send,
    F: DeserializeOwned,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let sender = W::from_request_parts(&mut parts, state).await?;
        let octets = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(IntoResponse::into_response)?;
        let token = form_urlencoded::parse(&octets)
            .find(|(name, _)| name == "token")
            .map(|(_, value)| value.into_owned());
        let (visit, visitor) = sender.who();
        if !is_own(visitor, &token.unwrap_or_default()) {
            return Err(stale(visit));
        }
        let form = Form::<F>::from_request(Request::from_parts(parts, octets.into()), state).await;
        Ok(Signed(sender, form.map_err(IntoResponse::into_response)?.0))
    }
}

/// A form with files, and what is left of it behind the token of its sender's session.
/// The token is the first field of each of our forms, so nothing is taken in before it is known to be right.
/// `None`: the form broke off or is too large before its first field was there.
pub struct SignedFiles<W>(pub W, pub Option<Multipart>);

/// Octets of a token's field, at most.
const TOKEN: usize = 256;

impl<S, W> FromRequest<S> for SignedFiles<W>
where
    S: Send + Sync,
    W: Sender + FromRequestParts<S, Rejection = Response> + Send,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let sender = W::from_request_parts(&mut parts, state).await?;
        let Ok(mut form) = Multipart::from_request(Request::from_parts(parts, body), state).await
        else {
            return Err(stale(sender.who().0));
        };
        let Ok(token) = first_token(&mut form).await else { return Ok(SignedFiles(sender, None)) };
        if is_own(sender.who().1, &token) {
            return Ok(SignedFiles(sender, Some(form)));
        }
        // A browser shows an answer when all of its form was taken; nothing of it is kept.
        while let Ok(Some(_)) = form.next_field().await {}
        Err(stale(sender.who().0))
    }
}

/// The first field when it is the token; empty when it is another.
async fn first_token(form: &mut Multipart) -> Result<String, MultipartError> {
    let Some(mut field) = form.next_field().await?.filter(|field| field.name() == Some("token"))
    else {
        return Ok(String::new());
    };
    let mut token = Vec::new();
    while let Some(piece) = field.chunk().await? {
        token.extend_from_slice(&piece[..piece.len().min(TOKEN - token.len())]);
    }
    Ok(String::from_utf8(token).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_its_form_names_it_and_any_other_word_is_unknown() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Order {
            NotJunk,
            #[default]
            #[serde(other)]
            Unknown,
        }
        #[derive(Deserialize)]
        struct Typed {
            #[serde(default)]
            order: Order,
        }
        for (form, order) in [
            ("order=not-junk", Order::NotJunk),
            ("order=NotJunk", Order::Unknown),
            ("order=", Order::Unknown),
            ("", Order::Unknown),
        ] {
            let request = || axum::http::Uri::try_from(format!("/?{form}")).unwrap();
            assert_eq!(
                axum::extract::Query::<Typed>::try_from_uri(&request()).unwrap().0.order,
                order,
                "{form}"
            );
            assert_eq!(
                axum::extract::Query::<Fields>::try_from_uri(&request())
                    .unwrap()
                    .0
                    .order::<Order>("order"),
                order,
                "{form}"
            );
        }
    }
}
