//! Bounds on what a request's lists may claim, checked before the request is decoded.
//!
//! The codec allocates for as many elements as a list claims to have. A stray or hostile client could claim two billion of
//! them in 12 bytes, and a failed allocation ends the process. So the structure of a request is walked first: every list must hold
//! what it claims, and all lists together must stay below a limit.

mod requests;

use bytes::{Buf, Bytes};

use self::requests::fields_of;
use super::limits::LIST_ELEMENTS_MAX;
use kafka_protocol::messages::ApiKey;

/// A field of a request, as far as one must know it to find the next.
#[derive(Debug)]
struct Field {
    /// Oldest version that has the field.
    from: i16,
    /// Newest version that has the field.
    to: i16,
    shape: Shape,
}

/// How a field's bytes are laid out.
#[derive(Debug)]
enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A text with its length, or none.
    Text,
    /// Bytes with their length, or none.
    Blob,
    /// A list of texts or numbers.
    Items(&'static Shape),
    /// A list of structures.
    List(&'static [Field]),
}

/// Walks the body of a request.
///
/// # Errors
///
/// What is wrong with it, as the end of a sentence.
pub(super) fn check(key: ApiKey, version: i16, body: Bytes) -> Result<(), &'static str> {
    let mut walk = Walk {
        rest: body,
        version,
        // Requests became flexible, with compact lengths and tagged fields, together with their headers.
        is_flexible: key.request_header_version(version) >= 2,
        elements_left: LIST_ELEMENTS_MAX,
    };
    walk.fields(fields_of(key))
}

struct Walk {
    rest: Bytes,
    version: i16,
    is_flexible: bool,
    elements_left: usize,
}

impl Walk {
    fn fields(&mut self, fields: &[Field]) -> Result<(), &'static str> {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.shape(&field.shape)?;
            }
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Shape) -> Result<(), &'static str> {
        match shape {
            Shape::Fixed(bytes) => self.skip(*bytes),
            Shape::Text => {
                let bytes = self.length(2)?;
                self.skip(bytes)
            }
            Shape::Blob => {
                let bytes = self.length(4)?;
                self.skip(bytes)
            }
            Shape::Items(item) => self.elements(|walk| walk.shape(item)),
            Shape::List(fields) => self.elements(|walk| {
                walk.fields(fields)?;
                walk.tagged_fields()
            }),
        }
    }

    fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let count = self.length(4)?;
        self.elements_left = self
            .elements_left
            .checked_sub(count)
            .ok_or("has more list elements than any client needs")?;
        for _ in 0..count {
            element(self)?;
        }
        Ok(())
    }

    /// A length or a count in `bytes` bytes, or a compact one; 0 for the mark of an absent value.
    fn length(&mut self, bytes: usize) -> Result<usize, &'static str> {
        if self.is_flexible {
            return Ok((self.varint()? as usize).saturating_sub(1));
        }
        let length = self.rest.try_get_int(bytes).map_err(|_| "ends too early")?;
        usize::try_from(length.max(0)).map_err(|_| "has a length that cannot be")
    }

    fn tagged_fields(&mut self) -> Result<(), &'static str> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let _tag = self.varint()?;
            let bytes = self.varint()?;
            self.skip(bytes as usize)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u32, &'static str> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.rest.try_get_u8().map_err(|_| "ends too early")?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| "has a length that cannot be");
            }
        }
        Err("has a length that cannot be")
    }

    fn skip(&mut self, bytes: usize) -> Result<(), &'static str> {
        if bytes > self.rest.len() {
            return Err("ends too early");
        }
        self.rest.advance(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
