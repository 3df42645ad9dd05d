//! The headers of a message as bytes. The binding panics at names that are not UTF-8.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;
use std::slice;

use rdkafka::bindings as c;
use rdkafka::error::RDKafkaErrorCode as Code;
/// Names and values in their order. A name ends at its first NUL, and a value may be missing.
pub(super) struct HeaderFields<'m> {
    /// The message's, which it owns.
    headers: *const c::rd_kafka_headers_t,
    next: usize,
    message: PhantomData<&'m c::rd_kafka_message_t>,
}

impl<'m> HeaderFields<'m> {
    /// Those of a message that librdkafka made; `None` where it has none.
    #[expect(unsafe_code, reason = "the binding's way to headers panics")]
    pub(super) fn of(message: &'m c::rd_kafka_message_t) -> Option<Self> {
        let mut headers = ptr::null_mut();
        // SAFETY: the pointer is that of a message which lives for as long as the borrow. What it is asked for stays its own.
        let code = unsafe { c::rd_kafka_message_headers(message, &raw mut headers) };
        (Code::from(code) == Code::NoError && !headers.is_null()).then_some(Self {
            headers,
            next: 0,
            message: PhantomData,
        })
    }
}

impl<'m> Iterator for HeaderFields<'m> {
    type Item = (&'m [u8], Option<&'m [u8]>);

    #[expect(unsafe_code, reason = "the binding's way to headers panics")]
    fn next(&mut self) -> Option<Self::Item> {
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the message and with it the headers live for as long as `'m`, and nobody changes them. librdkafka refuses an
        // index behind the last one; else it gives a text with a NUL at its end, and a value of that length or none, both of
        // which stay the message's.
        let field = unsafe {
            let code = c::rd_kafka_header_get_all(
                self.headers,
                self.next,
                &raw mut name,
                &raw mut value,
                &raw mut length,
            );
            if Code::from(code) != Code::NoError || name.is_null() {
                return None;
            }
            let value =
                (!value.is_null()).then(|| slice::from_raw_parts(value.cast::<u8>(), length));
            (CStr::from_ptr(name).to_bytes(), value)
        };
        self.next += 1;
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "the binding makes no headers of such names")]
    fn a_name_that_is_no_text_comes_as_its_bytes() {
        let fields = [
            (&b"good"[..], Some(&b"1"[..])),
            (b"\xc3\xfb", Some(b"")),
            (b"", None),
        ];
        // SAFETY: names and values are read up to their lengths, and copied. The headers are given back at the end, when nothing
        // borrows from them.
        unsafe {
            let headers = c::rd_kafka_headers_new(1);
            for (name, value) in fields {
                let value = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
                let code = c::rd_kafka_header_add(
                    headers,
                    name.as_ptr().cast(),
                    name.len().cast_signed(),
                    value.0.cast(),
                    value.1.cast_signed(),
                );
                assert_eq!(Code::from(code), Code::NoError);
            }
            let found = HeaderFields {
                headers,
                next: 0,
                message: PhantomData,
            };
            assert_eq!(found.collect::<Vec<_>>(), fields);
            c::rd_kafka_headers_destroy(headers);
        }
    }
}
