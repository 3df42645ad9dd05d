//! The upload step: staged rows to blocks of an upload session, many at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Receiver;
use engine_model::{PlannedWindow, StagedFile};

use crate::border::{Border, OnBorder};
use crate::cancel::Cancel;
use crate::disk::DiskBudget;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::ports::{Clock, Staging, TargetTable};
use crate::progress::{Progress, count};
use crate::stage::StagedRows;
use crate::{Error, ErrorKind};

/// One block to upload: a slice's rows for one window.
#[derive(Debug)]
pub(crate) struct BlockTask {
    /// The window's number.
    pub(crate) window: u32,
    /// The slice's number.
    pub(crate) slice: u32,
    /// The block's id in the window's upload session.
    pub(crate) block: u32,
    pub(crate) file: StagedFile,
}

/// The upload sessions of a run, one for each window, opened when the first block of the window is ready.
pub(crate) struct Uploads<'a> {
    pub(crate) run: i64,
    pub(crate) windows: &'a [PlannedWindow],
    pub(crate) overwrite: bool,
    pub(crate) target: &'a dyn TargetTable,
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) journal: &'a Journal,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) progress: &'a Progress,
    pub(crate) cancel: &'a Cancel,
    pub(crate) disk: &'a DiskBudget,
    pub(crate) pace: &'a Pace<'a>,
    pub(crate) on_border: OnBorder<'a>,
    /// The id of each window's session, once it is open.
    pub(crate) sessions: Vec<Mutex<Option<String>>>,
}

impl Uploads<'_> {
    /// Uploads blocks until no more come, and says of which window each was.
    pub(crate) fn run(
        &self,
        tasks: &Receiver<BlockTask>,
        on_uploaded: &dyn Fn(u32),
    ) -> Result<(), Error> {
        for task in tasks {
            self.cancel.check()?;
            let window = task.window;
            self.upload(task)?;
            on_uploaded(window);
        }
        Ok(())
    }

    /// The id of the window's session, where there is one.
    pub(crate) fn known_session(&self, window: u32) -> Option<String> {
        self.lock_session(window).clone()
    }

    /// The id of the window's session, which is opened, and journalled, where there is none yet.
    pub(crate) fn session(&self, window: u32) -> Result<String, Error> {
        let mut session = self.lock_session(window);
        if let Some(open) = &*session {
            return Ok(open.clone());
        }
        let partition = &self.windows[window as usize].partition;
        (self.on_border)(Border::SessionNeeded)?;
        self.target.create_partition(partition)?;
        (self.on_border)(Border::PartitionCreated)?;
        let turn = self.pace.session()?;
        let opened = self.target.open_session(partition, self.overwrite)?;
        drop(turn);
        (self.on_border)(Border::SessionOpened)?;
        self.journal.session_opened(self.run, window, &opened)?;
        (self.on_border)(Border::SessionJournalled)?;
        Ok(session.insert(opened).clone())
    }

    fn lock_session(&self, window: u32) -> MutexGuard<'_, Option<String>> {
        self.sessions[window as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn upload(&self, task: BlockTask) -> Result<(), Error> {
        let BlockTask {
            window,
            block,
            file,
            ..
        } = task;
        let session = self.session(window)?;
        let _turn = self.pace.block()?;
        let started = self.clock.elapsed();
        let rows = StagedRows {
            staging: Arc::clone(&self.staging),
            file,
        };
        (self.on_border)(Border::BlockReady)?;
        let receipt = self
            .target
            .put_block(
                &self.windows[window as usize].partition,
                &session,
                block,
                &rows,
            )
            .map_err(|error| named(error, &session))?;
        (self.on_border)(Border::BlockUploaded)?;
        let busy = self.clock.elapsed().saturating_sub(started);
        self.progress
            .upload
            .add(busy, rows.file.rows, receipt.bytes);
        count(&self.progress.blocks_uploaded, 1);
        self.disk.uploaded(rows.file);
        Ok(())
    }
}

/// Says of an error that a session is gone, which one it is.
pub(crate) fn named(error: Error, session: &str) -> Error {
    if error.kind() != ErrorKind::SessionGone {
        return error;
    }
    let message = format!("upload session {session} is gone ({error})");
    Error::with_source(ErrorKind::SessionGone, message, error)
}
