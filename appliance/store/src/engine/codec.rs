//! Octets in the tables: fixed-width big-endian keys, versioned values.
//!
//! Keys sort in LMDB as their fields sort, because every field is unsigned and big-endian.
//! Every value begins with its format version, so that a later release can tell old rows from new.

use std::borrow::Cow;
use std::marker::PhantomData;

use heed::{BoxedError, BytesDecode, BytesEncode};
use pillarbox_vocabulary::Timestamp;

/// A key of fixed width whose encoding sorts as the key does.
pub trait FixedKey: Copy + 'static {
    /// Width in octets.
    const WIDTH: usize;
    /// Appends exactly `WIDTH` octets.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads exactly `WIDTH` octets.
    fn read(octets: &mut Cursor<'_>) -> Option<Self>;
}

impl FixedKey for u32 {
    const WIDTH: usize = 4;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        octets.u32()
    }
}

impl FixedKey for u64 {
    const WIDTH: usize = 8;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        octets.u64()
    }
}

impl FixedKey for Timestamp {
    const WIDTH: usize = 8;
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        octets.u64().map(Timestamp)
    }
}

/// A value with a format version in front.
pub trait Record: Sized + 'static {
    /// The version this release writes.
    const VERSION: u8;
    /// Appends everything after the version octet.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads everything after the version octet; `version` is at most `VERSION`.
    fn read(version: u8, octets: &mut Cursor<'_>) -> Option<Self>;

    /// The whole value.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        self.write(&mut out);
        out
    }

    /// The value back from its octets; an error names the type and never panics.
    fn decode(octets: &[u8]) -> Result<Self, BoxedError> {
        // Looked for only when it is told: rows are read by the hundred thousand.
        let name = || std::any::type_name::<Self>().rsplit("::").next().unwrap_or("record");
        let (&version, rest) = octets.split_first().ok_or_else(|| format!("empty {}", name()))?;
        if version == 0 || version > Self::VERSION {
            return Err(format!("{} of unknown version {version}", name()).into());
        }
        let mut cursor = Cursor(rest);
        Self::read(version, &mut cursor).ok_or_else(|| format!("malformed {}", name()).into())
    }

    /// Decodes arbitrary octets; what decodes must survive being written and read back.
    ///
    /// # Panics
    /// When it does not.
    fn check(octets: &[u8]) {
        if let Ok(value) = Self::decode(octets) {
            let written = value.encode();
            let again = Self::decode(&written).map(|again| again.encode());
            assert!(again.is_ok_and(|again| again == written), "a value changed by encoding");
        }
    }
}

/// heed codec for a [`FixedKey`].
pub struct Key<K>(PhantomData<K>);

impl<'a, K: FixedKey> BytesEncode<'a> for Key<K> {
    type EItem = K;
    fn bytes_encode(key: &'a K) -> Result<Cow<'a, [u8]>, BoxedError> {
        let mut out = Vec::with_capacity(K::WIDTH);
        key.write(&mut out);
        Ok(Cow::Owned(out))
    }
}

impl<'a, K: FixedKey> BytesDecode<'a> for Key<K> {
    type DItem = K;
    fn bytes_decode(octets: &'a [u8]) -> Result<K, BoxedError> {
        if octets.len() != K::WIDTH {
            return Err(format!("key of {} octets instead of {}", octets.len(), K::WIDTH).into());
        }
        K::read(&mut Cursor(octets)).ok_or_else(|| "malformed key".into())
    }
}

/// heed codec for a [`Record`].
pub struct Value<T>(PhantomData<T>);

impl<'a, T: Record> BytesEncode<'a> for Value<T> {
    type EItem = T;
    fn bytes_encode(item: &'a T) -> Result<Cow<'a, [u8]>, BoxedError> {
        Ok(Cow::Owned(item.encode()))
    }
}

impl<'a, T: Record> BytesDecode<'a> for Value<T> {
    type DItem = T;
    fn bytes_decode(octets: &'a [u8]) -> Result<T, BoxedError> {
        T::decode(octets)
    }
}

/// Reads fields off the front of a slice; `None` when it is too short or malformed.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next `n` octets.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
    /// LEB128, at most ten octets.
    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = self.u8()?;
            value |= u64::from(octet & 0x7f).checked_shl(shift)?;
            if octet & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }
    pub fn string(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
    pub fn strings(&mut self) -> Option<Vec<String>> {
        let count = self.varint()?;
        // Each string costs an octet at least: a huge count can't make us allocate.
        (count <= self.0.len() as u64).then(|| (0..count).map(|_| self.string()).collect())?
    }
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_bytes(out: &mut Vec<u8>, octets: &[u8]) {
    put_varint(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

pub fn put_strings(out: &mut Vec<u8>, strings: &[String]) {
    put_varint(out, strings.len() as u64);
    for string in strings {
        put_bytes(out, string.as_bytes());
    }
}

/// FNV-1a, 64 bits: a stable term hash; not for secrets.
pub fn stable_hash(parts: &[&[u8]]) -> u64 {
    parts.iter().copied().flatten().fold(0xcbf2_9ce4_8422_2325, |hash, &octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Makes keys of numbers with a type of their own.
macro_rules! integer_key {
    ($name:ident, $int:ty, $read:ident) => {
        impl $crate::engine::codec::FixedKey for $name {
            const WIDTH: usize = size_of::<$int>();
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.to_be_bytes());
            }
            fn read(octets: &mut $crate::engine::codec::Cursor<'_>) -> Option<Self> {
                octets.$read().map($name)
            }
        }
    };
}

/// Declares keys that are made of keys.
macro_rules! compound_key {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name { $(pub $field: $type,)* }

        impl $crate::engine::codec::FixedKey for $name {
            const WIDTH: usize = 0 $(+ <$type as $crate::engine::codec::FixedKey>::WIDTH)*;
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::engine::codec::FixedKey::write(&self.$field, out);)*
            }
            fn read(octets: &mut $crate::engine::codec::Cursor<'_>) -> Option<Self> {
                Some($name { $($field: $crate::engine::codec::FixedKey::read(octets)?,)* })
            }
        }
    };
}

pub(crate) use compound_key;
pub(crate) use integer_key;
