//! The staged files of one slice: rows and rejected messages, a file of each for each window.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine_decode::{Decoder, Rejection};
use engine_model::{Message, SliceWindowReport, TopicPartition};

use super::{RejectWriter, RejectedMessage, RowWriter};
use crate::Error;
use crate::border::Border;
use crate::rules::SliceRules;

/// The open files of one slice, a pair for each window.
pub(crate) struct SliceFiles<'a> {
    rules: &'a SliceRules<'a>,
    slice: u32,
    /// The windows' numbers; everything else is in their order.
    windows: Vec<u32>,
    rows: Vec<Option<RowWriter>>,
    rejects: Vec<Option<RejectWriter>>,
    rejected: Vec<BTreeMap<String, u64>>,
    first_reject: Vec<Option<String>>,
}

impl<'a> SliceFiles<'a> {
    /// Files for the windows of these numbers.
    pub(crate) fn new(rules: &'a SliceRules<'a>, slice: u32, windows: &[u32]) -> Self {
        let count = windows.len();
        Self {
            rules,
            slice,
            windows: windows.to_vec(),
            rows: (0..count).map(|_| None).collect(),
            rejects: (0..count).map(|_| None).collect(),
            rejected: vec![BTreeMap::new(); count],
            first_reject: vec![None; count],
        }
    }

    /// Stages the rows of a decoder for the window at place `window`.
    pub(crate) fn write(&mut self, window: usize, decoder: &mut Decoder) -> Result<(), Error> {
        let started = self.rules.clock.elapsed();
        let batch = decoder.flush();
        let writer = match &mut self.rows[window] {
            Some(writer) => writer,
            empty => {
                let number = self.windows[window];
                let name = staged_name(self.rules.run, self.slice, number, "rows");
                let staging = Arc::clone(&self.rules.staging);
                empty.insert(RowWriter::create(staging, name, &batch)?)
            }
        };
        writer.write(&batch)?;
        self.bound_row_groups()?;
        let busy = self.rules.clock.elapsed().saturating_sub(started);
        self.rules
            .progress
            .stage
            .add(busy, batch.num_rows() as u64, 0);
        Ok(())
    }

    /// Ends the largest row groups in progress until the rest fits into the lane's share.
    fn bound_row_groups(&mut self) -> Result<(), Error> {
        loop {
            let open = self.rows.iter_mut().flatten();
            let held: usize = open.map(|writer| writer.in_progress_bytes()).sum();
            if held <= self.rules.row_group_bytes {
                return Ok(());
            }
            let open = self.rows.iter_mut().flatten();
            if let Some(largest) = open.max_by_key(|writer| writer.in_progress_bytes()) {
                largest.flush()?;
                if largest.in_progress_bytes() >= held {
                    return Ok(());
                }
            }
        }
    }

    pub(crate) fn reject(
        &mut self,
        topic_partition: &TopicPartition,
        message: Message<'_>,
        window: usize,
        rejection: &Rejection,
    ) -> Result<(), Error> {
        let detail = rejection.to_string();
        let described = format!("offset {} of {topic_partition}: {detail}", message.offset);
        let reason = rejection.reason().name();
        let number = self.windows[window];
        let name = || staged_name(self.rules.run, self.slice, number, "rejects");
        let writer = self.rejects[window]
            .get_or_insert_with(|| RejectWriter::new(Arc::clone(&self.rules.staging), name()));
        writer.write(&RejectedMessage {
            topic_partition,
            message,
            reason,
            detail: &detail,
        })?;
        if let Err(error) = self.rules.rejects.record(number, &described) {
            self.keep_rejects();
            return Err(error);
        }
        *self.rejected[window].entry(reason.to_owned()).or_default() += 1;
        self.first_reject[window].get_or_insert(described);
        Ok(())
    }

    /// Publishes the rejected messages of a slice that fails by them: whoever corrects the job looks at them first.
    fn keep_rejects(&mut self) {
        for writer in self.rejects.iter_mut().filter_map(Option::take) {
            // What the run fails by is told, not what comes of that.
            let _unkept = writer.finish();
        }
    }

    pub(crate) fn finish(self) -> Result<BTreeMap<u32, SliceWindowReport>, Error> {
        let started = self.rules.clock.elapsed();
        let mut reports = BTreeMap::new();
        let files = self.rows.into_iter().zip(self.rejects);
        let told = self.rejected.into_iter().zip(self.first_reject);
        let mut bytes = 0;
        for ((number, (rows, rejects)), (rejected, first_reject)) in
            self.windows.into_iter().zip(files).zip(told)
        {
            let rows = match rows {
                Some(rows) => Some(
                    self.rules
                        .between((Border::RowsWritten, Border::RowsPublished), || {
                            rows.finish()
                        })?,
                ),
                None => None,
            };
            let (rows, checksum) = rows.unzip();
            let rejects = match rejects {
                Some(rejects) => self
                    .rules
                    .between((Border::RejectsWritten, Border::RejectsPublished), || {
                        rejects.finish()
                    })?,
                None => None,
            };
            bytes += rows.as_ref().map_or(0, |file| file.bytes);
            let report = SliceWindowReport {
                rows,
                block_id: None,
                checksum,
                rejects,
                rejected,
                first_reject,
            };
            if report != SliceWindowReport::default() {
                reports.insert(number, report);
            }
        }
        let busy: Duration = self.rules.clock.elapsed().saturating_sub(started);
        self.rules.progress.stage.add(busy, 0, bytes);
        Ok(reports)
    }
}

/// The name of a staged file: its run, slice and window, and what it holds.
fn staged_name(run: i64, slice: u32, window: u32, content: &str) -> String {
    format!(
        "{}slice-{slice:05}-window-{window}-{content}.parquet",
        run_prefix(run)
    )
}

/// The run that a staged file belongs to; nothing for a name that is not ours.
pub(crate) fn run_of_staged_file(name: &str) -> Option<i64> {
    let (run, rest) = name.strip_prefix("run-")?.split_once('-')?;
    if rest.starts_with("slice-") {
        run.parse().ok()
    } else {
        None
    }
}

/// Whether a staged file holds rejected messages, by its name.
pub(crate) fn holds_rejects(name: &str) -> bool {
    name.ends_with("-rejects.parquet")
}

/// What the names of all staged files of a run begin with.
pub(crate) fn run_prefix(run: i64) -> String {
    format!("run-{run}-")
}
