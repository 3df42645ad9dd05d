//! The only place that writes to the terminal, or to whatever stands in for it.

use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Standard output for results, standard error for what is said about them.
///
/// A reader who has seen enough and closes the pipe is no error: the rest is dropped, and the exit code says how the
/// command went.
pub(crate) struct Output<'a> {
    out: Box<dyn Write + 'a>,
    err: Box<dyn Write + 'a>,
    json: bool,
}

impl<'a> Output<'a> {
    pub(crate) fn new(json: bool, out: impl Write + 'a, err: impl Write + 'a) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
            json,
        }
    }

    /// The process's own streams.
    pub(crate) fn standard(json: bool) -> Self {
        Self::new(json, io::stdout(), io::stderr())
    }

    /// Whether results are JSON documents.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes the result of a command: once, and as text or as a document.
    pub(crate) fn result(
        &mut self,
        text: impl FnOnce() -> String,
        document: impl FnOnce() -> serde_json::Result<String>,
    ) -> Result<(), Failure> {
        let text = if self.json {
            document().map_err(|error| {
                Failure::internal(format!("the result can't be written as JSON: {error}"))
            })?
        } else {
            text()
        };
        self.print(&text)
    }

    /// Writes text to standard output, with one line break at its end.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        match write_line(&mut self.out, text) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::internal(format!(
                "standard output can't be written: {error}"
            ))),
            _ => Ok(()),
        }
    }

    /// Says something on standard error. When that fails there is nobody left to tell.
    pub(crate) fn say(&mut self, text: &str) {
        write_line(&mut self.err, text).ok();
    }

    /// Says why the command failed: on standard error, or as the document.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if !self.json {
            return self.say(&failure.text());
        }
        if let Err(unwritten) = self.print(&format!("{:#}", failure.document())) {
            self.say(&failure.text());
            self.say(&unwritten.text());
        }
    }
}

fn write_line(stream: &mut dyn Write, text: &str) -> io::Result<()> {
    let mut line = text.trim_end_matches('\n').to_owned();
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    /// A stream that fails.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        let mut closed = Output::new(false, Broken(ErrorKind::BrokenPipe), io::sink());
        assert!(closed.print("text").is_ok());
        let mut full = Output::new(false, Broken(ErrorKind::StorageFull), io::sink());
        let failure = full.print("text").unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(
            failure
                .text()
                .starts_with("error: standard output can't be written: ")
        );
    }

    #[test]
    fn results_are_text_or_a_document() {
        let written = |json| {
            let mut out = Vec::new();
            let mut output = Output::new(json, &mut out, io::sink());
            output
                .result(|| "text\n\n".to_owned(), || Ok("{}".to_owned()))
                .unwrap();
            drop(output);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            (written(false).as_str(), written(true).as_str()),
            ("text\n", "{}\n")
        );
    }

    #[test]
    fn failures_go_where_the_reader_looks() {
        let written = |json| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut output = Output::new(json, &mut out, &mut err);
            output.failure(&Failure::usage("it is wrong"));
            drop(output);
            (
                String::from_utf8(out).unwrap(),
                String::from_utf8(err).unwrap(),
            )
        };
        assert_eq!(
            written(false),
            (String::new(), "error: it is wrong\n".to_owned())
        );
        let (out, err) = written(true);
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        let error = serde_json::json!({ "kind": "usage", "message": "it is wrong" });
        assert_eq!((&document["error"], err.as_str()), (&error, ""));
    }
}
