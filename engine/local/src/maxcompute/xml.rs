//! XML, as little of it as the protocol needs.

use std::borrow::Cow;

/// Text with markup characters replaced; characters that XML can't hold are dropped.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let legal: Cow<'_, str> = if text.chars().all(is_legal) {
        text.into()
    } else {
        text.chars()
            .filter(|c| is_legal(*c))
            .collect::<String>()
            .into()
    };
    match legal {
        Cow::Borrowed(legal) => quick_xml::escape::escape(legal),
        Cow::Owned(legal) => quick_xml::escape::escape(legal.as_str())
            .into_owned()
            .into(),
    }
}

/// Text in a CDATA section, split where it holds the section's own end mark.
pub(crate) fn cdata(text: &str) -> String {
    let legal: String = text.chars().filter(|c| is_legal(*c)).collect();
    format!("<![CDATA[{}]]>", legal.replace("]]>", "]]]]><![CDATA[>"))
}

fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_a_cdata_section() {
        assert_eq!(cdata("a]]>b\u{0}"), "<![CDATA[a]]]]><![CDATA[>b]]>");
        assert_eq!(escape("<a b='c'>&\u{1}"), "&lt;a b=&apos;c&apos;&gt;&amp;");
    }
}
