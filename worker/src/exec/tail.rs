//! The end of a command's stderr: what is worth keeping when it fails. Every line is traced at debug. Secrets are hidden
//! before anything is cut.

use std::collections::VecDeque;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::secrets::{Mask, MaskedStream};

/// As much as tells what went wrong, and fits every error.
const KEPT_BYTES: usize = 8 * 1024;
/// A longer line is traced in pieces.
const LONGEST_LINE_BYTES: usize = 1024;
/// As much as a pipe usually gives at once is 64 KiB; stderr rarely has that.
const CHUNK_BYTES: usize = 8 * 1024;

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    line: Vec<u8>,
    cut: bool,
    masked: Option<MaskedStream>,
}

impl Tail {
    /// Of a stream that must show no secrets.
    pub(super) fn masked(mask: Option<&Arc<Mask>>) -> Self {
        Self { masked: mask.map(|mask| MaskedStream::new(Arc::clone(mask))), ..Self::default() }
    }

    /// Reads a stream to its end.
    pub(super) async fn read(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; CHUNK_BYTES];
        // A stream that cannot be read any more has ended.
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            let bytes = chunk.get(..count).unwrap_or_default();
            match &mut self.masked {
                Some(masked) => {
                    let shown = masked.push(bytes);
                    self.take(&shown);
                }
                None => self.take(bytes),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.keep(bytes);
        self.trace(bytes);
    }

    /// What is kept once all is read, from the first whole line where there is one.
    pub(super) fn text(mut self) -> String {
        if let Some(rest) = self.masked.as_mut().map(MaskedStream::finish) {
            self.take(&rest);
        }
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        match text.split_once('\n') {
            Some((_, whole)) if self.cut && !whole.is_empty() => whole.to_owned(),
            _ => text.into_owned(),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let surplus = self.kept.len().saturating_sub(KEPT_BYTES);
        self.cut |= surplus > 0;
        self.kept.drain(..surplus);
    }

    fn trace(&mut self, bytes: &[u8]) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
            }
            if byte == b'\n' || self.line.len() >= LONGEST_LINE_BYTES {
                tracing::debug!(stderr = %String::from_utf8_lossy(&self.line));
                self.line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tail(text: &[u8]) -> String {
        let mut tail = Tail::default();
        tail.read(text).await;
        tail.text()
    }

    #[tokio::test]
    async fn a_short_stream_is_kept_whole() {
        assert_eq!(tail(b"one\ntwo").await, "one\ntwo");
        assert_eq!(tail(b"").await, "");
    }

    #[tokio::test]
    async fn of_a_long_one_the_last_whole_lines_are_kept() {
        let long: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let kept = tail(long.as_bytes()).await;
        assert!(kept.len() <= KEPT_BYTES && kept.len() > KEPT_BYTES - 20);
        assert!(kept.starts_with("line ") && kept.ends_with("line 9999\n"));
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_do_no_harm() {
        assert_eq!(tail(b"a\xffb").await, "a\u{fffd}b");
    }
}
