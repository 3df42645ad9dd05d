use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use engine_model::{Column, ColumnType, TableColumns};
use tempfile::TempDir;

use super::sessions::SESSION_MS;
use super::*;
use crate::maxcompute::error::Code;
use crate::maxcompute::storage::StoredFile;
use crate::maxcompute::table::{Definition, Table};
use crate::maxcompute::types::arrow_schema;

const NOW: i64 = 1_772_420_645_000;

struct Fixture {
    folder: TempDir,
    catalog: Arc<Catalog>,
    files: u32,
}

impl Fixture {
    /// A catalog with the table `t` (`id` BIGINT), partitioned by `ds` where asked for.
    fn new(partitioned: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let catalog = Catalog::open(folder.path()).unwrap();
        let keys = if partitioned {
            vec![Column::new("ds", ColumnType::String)]
        } else {
            Vec::new()
        };
        let columns = vec![Column::new("id", ColumnType::BigInt)];
        let definition = Definition {
            columns: TableColumns {
                columns,
                partition_keys: keys,
            },
            ..Definition::default()
        };
        assert!(catalog.create_table("t", &definition, NOW).unwrap());
        Self {
            folder,
            catalog,
            files: 0,
        }
    }

    fn table(&self) -> Table {
        self.catalog.table("T").unwrap().unwrap()
    }

    fn reopen(&mut self) {
        // The lock must be free before the folder is opened again.
        let elsewhere = TempDir::new().unwrap();
        self.catalog = Catalog::open(elsewhere.path()).unwrap();
        self.catalog = Catalog::open(self.folder.path()).unwrap();
    }

    fn file(&mut self, ids: &[i64]) -> StoredFile {
        let columns = self.table().columns.columns;
        self.files += 1;
        let id = format!("20260302030405678g{:016x}", self.files);
        let mut writer = self
            .catalog
            .files()
            .create(&id, arrow_schema(&columns))
            .unwrap();
        let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        writer
            .write(&RecordBatch::try_new(arrow_schema(&columns), vec![column]).unwrap())
            .unwrap();
        writer.finish().unwrap().unwrap()
    }

    fn open(&self, id: &str, overwrite: bool, values: &[&str]) {
        let upload = Upload {
            id: id.to_owned(),
            table_id: self.table().id,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            overwrite,
            status: UploadStatus::Normal,
            created_ms: NOW,
            blocks: Vec::new(),
        };
        self.catalog.create_upload(&upload, true).unwrap();
    }

    fn put(&mut self, upload: &str, block: u32, ids: &[i64]) {
        let file = self.file(ids);
        self.catalog
            .put_block(upload, block, 0, Some(&file), NOW)
            .unwrap();
    }

    /// All ids of the table in order.
    fn ids(&self) -> Vec<i64> {
        let snapshot = self.catalog.snapshot(self.table().id).unwrap();
        let mut ids = Vec::new();
        for file in &snapshot.files {
            let rows = usize::try_from(file.rows).unwrap();
            for batch in self
                .catalog
                .files()
                .read(&file.name, &[0], 0, rows)
                .unwrap()
            {
                ids.extend_from_slice(
                    batch
                        .unwrap()
                        .column(0)
                        .as_primitive::<Int64Type>()
                        .values(),
                );
            }
        }
        ids
    }

    fn on_disk(&self) -> usize {
        fs::read_dir(self.folder.path().join("files"))
            .unwrap()
            .count()
    }
}

#[test]
fn nothing_is_visible_before_the_commit_and_all_of_it_after() {
    let mut fixture = Fixture::new(false);
    fixture.open("u1", false, &[]);
    fixture.put("u1", 3, &[30, 31]);
    fixture.put("u1", 0, &[1]);
    assert_eq!(fixture.ids(), [0; 0]);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    assert_eq!(fixture.ids(), [1, 30, 31]);
    fixture.open("u2", true, &[]);
    fixture.put("u2", 0, &[7]);
    assert_eq!(
        fixture.ids(),
        [1, 30, 31],
        "an overwrite replaces at the commit, not before"
    );
    fixture.catalog.commit_upload("u2", NOW).unwrap();
    assert_eq!(fixture.ids(), [7]);
    assert_eq!(fixture.on_disk(), 1, "replaced files are removed");
}

#[test]
fn a_commit_survives_a_restart_and_what_was_open_goes_on() {
    let mut fixture = Fixture::new(true);
    fixture.open("u1", true, &["20260302"]);
    fixture.put("u1", 0, &[1]);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    fixture.open("u2", true, &["20260302"]);
    fixture.put("u2", 0, &[2]);
    fixture.reopen();
    assert_eq!(fixture.ids(), [1]);
    let blocks = fixture.catalog.upload("u2", NOW).unwrap().blocks;
    assert_eq!(
        blocks
            .iter()
            .map(|block| (block.id, block.rows))
            .collect::<Vec<_>>(),
        [(0, 1)]
    );
    fixture.put("u2", 1, &[3]);
    let committed = fixture.catalog.commit_upload("u2", NOW).unwrap();
    assert_eq!(committed.status, UploadStatus::Closed);
    fixture.reopen();
    assert_eq!(fixture.ids(), [2, 3]);
    assert_eq!(
        fixture.catalog.upload("u1", NOW).unwrap().status,
        UploadStatus::Closed
    );
}

#[test]
fn a_commit_that_fails_changes_nothing() {
    let mut fixture = Fixture::new(true);
    fixture.open("u1", false, &["1"]);
    fixture.put("u1", 0, &[1]);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    fixture.open("u2", true, &["1"]);
    fixture.put("u2", 0, &[2]);
    // A file of this name exists: the insert fails after the old files were taken out.
    let clash = fixture.file(&[9]);
    fixture
        .catalog
        .put_block("u2", 1, 0, Some(&clash), NOW)
        .unwrap();
    let table_id = fixture.table().id;
    fixture
        .catalog
        .transaction(|transaction| {
            transaction.execute(
                "INSERT INTO partitions (table_id, spec, created_ms, ddl_ms, modified_ms) VALUES (?1, '[\"2\"]', 0, 0, 0)",
                [table_id],
            )?;
            let other = transaction.last_insert_rowid();
            transaction.execute(
                "INSERT INTO files (name, partition_id, position, rows, bytes) VALUES (?1, ?2, 1, 1, 1)",
                rusqlite::params![clash.name, other],
            )?;
            Ok(())
        })
        .unwrap();
    fixture.catalog.commit_upload("u2", NOW).unwrap_err();
    assert_eq!(
        fixture.ids(),
        [1, 9],
        "partition 1 has its old row, partition 2 the clash"
    );
    assert_eq!(
        fixture.catalog.upload("u2", NOW).unwrap().status,
        UploadStatus::Normal
    );
}

#[test]
fn a_second_commit_changes_nothing() {
    let mut fixture = Fixture::new(false);
    fixture.open("u1", false, &[]);
    fixture.put("u1", 0, &[1]);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    let again = fixture.catalog.commit_upload("u1", NOW + 1).unwrap();
    assert_eq!(again.status, UploadStatus::Closed);
    assert_eq!(
        again
            .blocks
            .iter()
            .map(|block| block.rows)
            .collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(fixture.ids(), [1]);
    let file = fixture.file(&[2]);
    let late = fixture
        .catalog
        .put_block("u1", 1, 0, Some(&file), NOW)
        .unwrap_err();
    assert_eq!(late.code, Code::StatusConflict);
}

#[test]
fn a_block_sent_again_replaces_itself_unless_it_is_older() {
    let mut fixture = Fixture::new(false);
    fixture.open("u1", false, &[]);
    fixture.put("u1", 0, &[1]);
    fixture.put("u1", 0, &[2, 3]);
    assert_eq!(fixture.on_disk(), 1);
    let newer = fixture.file(&[5]);
    fixture
        .catalog
        .put_block("u1", 0, 2, Some(&newer), NOW)
        .unwrap();
    let older = fixture.file(&[4]);
    fixture
        .catalog
        .put_block("u1", 0, 1, Some(&older), NOW)
        .unwrap();
    assert_eq!(fixture.on_disk(), 1);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    assert_eq!(fixture.ids(), [5]);
}

#[test]
fn an_overwrite_without_blocks_empties_its_partition_only() {
    let mut fixture = Fixture::new(true);
    for (upload, value, id) in [("u1", "1", 1), ("u2", "2", 2)] {
        fixture.open(upload, false, &[value]);
        fixture.put(upload, 0, &[id]);
        fixture.catalog.commit_upload(upload, NOW).unwrap();
    }
    fixture.open("u3", true, &["1"]);
    fixture.catalog.commit_upload("u3", NOW).unwrap();
    assert_eq!(fixture.ids(), [2]);
}

#[test]
fn sessions_end_after_a_day() {
    let mut fixture = Fixture::new(false);
    fixture.open("u1", false, &[]);
    fixture.put("u1", 0, &[1]);
    let late = NOW + SESSION_MS;
    assert_eq!(
        fixture.catalog.upload("u1", late - 1).unwrap().status,
        UploadStatus::Normal
    );
    assert_eq!(
        fixture.catalog.upload("u1", late).unwrap().status,
        UploadStatus::Expired
    );
    assert_eq!(
        fixture.catalog.commit_upload("u1", late).unwrap_err().code,
        Code::StatusConflict
    );
    let next = Upload {
        created_ms: late,
        id: "u2".into(),
        ..fixture.catalog.upload("u1", late).unwrap()
    };
    fixture.catalog.create_upload(&next, false).unwrap();
    assert_eq!(
        fixture.on_disk(),
        0,
        "the blocks of the expired session are gone"
    );
    assert_eq!(
        fixture.catalog.upload("u3", late).unwrap_err().code,
        Code::NoSuchUpload
    );
}

#[test]
fn orphans_are_removed_at_the_start_and_nothing_else() {
    let mut fixture = Fixture::new(false);
    fixture.open("u1", false, &[]);
    fixture.put("u1", 0, &[1]);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    fixture.open("u2", false, &[]);
    fixture.put("u2", 0, &[2]);
    let orphan = fixture.file(&[9]);
    let unfinished = fixture.file(&[8]).name + ".part";
    let unfinished = fixture.folder.path().join("files").join(unfinished);
    fs::write(&unfinished, b"PAR1").unwrap();
    let foreign = fixture.folder.path().join("files/orders.parquet");
    fs::write(&foreign, b"PAR1").unwrap();
    fixture.reopen();
    fs::remove_file(foreign).unwrap();
    assert!(!unfinished.try_exists().unwrap());
    assert!(
        !fixture
            .folder
            .path()
            .join("files")
            .join(orphan.name)
            .try_exists()
            .unwrap()
    );
    assert_eq!(fixture.on_disk(), 2);
    fixture.catalog.commit_upload("u2", NOW).unwrap();
    assert_eq!(fixture.ids(), [1, 2]);
}

#[test]
fn readers_keep_what_they_began_with() {
    let mut fixture = Fixture::new(false);
    fixture.open("u1", false, &[]);
    fixture.put("u1", 0, &[1]);
    fixture.catalog.commit_upload("u1", NOW).unwrap();
    let snapshot = fixture.catalog.snapshot(fixture.table().id).unwrap();
    let download = Download {
        id: "d1".to_owned(),
        resource: "t/1".to_owned(),
        values: Vec::new(),
        columns: Vec::new(),
        created_ms: NOW,
        files: Vec::new(),
    };
    let download = fixture
        .catalog
        .create_table_download(download, fixture.table().id)
        .unwrap();
    fixture.catalog.drop_table("t").unwrap();
    let exists = |fixture: &Fixture| {
        let path: &Path = fixture.folder.path();
        path.join("files")
            .join(&download.files[0].name)
            .try_exists()
            .unwrap()
    };
    assert!(exists(&fixture));
    drop(snapshot);
    assert!(exists(&fixture), "the download session still reads it");
    assert_eq!(
        fixture
            .catalog
            .download("d1", "t/1", NOW)
            .unwrap()
            .files
            .len(),
        1
    );
    let gone = fixture.catalog.download("d1", "t/2", NOW).unwrap_err();
    assert_eq!(
        gone.code,
        Code::NoSuchDownload,
        "a session reads its own table only"
    );
    let later = Download {
        id: "d2".to_owned(),
        created_ms: NOW + SESSION_MS,
        files: Vec::new(),
        ..download.clone()
    };
    fixture.catalog.create_download(&later).unwrap();
    fixture.catalog.collect();
    assert!(!exists(&fixture));
}

#[test]
fn a_folder_has_one_server() {
    let fixture = Fixture::new(false);
    let error = Catalog::open(fixture.folder.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
}

#[test]
fn a_catalog_that_is_gone_takes_no_rows_with_it() {
    let mut fixture = Fixture::new(false);
    fixture.file(&[1]);
    let Fixture {
        folder, catalog, ..
    } = fixture;
    drop(catalog);
    for file in fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("catalog.sqlite") {
            fs::remove_file(path).unwrap();
        }
    }
    for _ in 0..2 {
        let error = Catalog::open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::CatalogLost { .. }), "{error}");
    }
    assert_eq!(
        fs::read_dir(folder.path().join("files")).unwrap().count(),
        1
    );
}

#[test]
fn a_newer_catalog_is_left_alone() {
    let Fixture {
        folder, catalog, ..
    } = Fixture::new(false);
    drop(catalog);
    let database = folder.path().join("catalog.sqlite");
    Connection::open(&database)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = Catalog::open(folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Version {
                found: 99,
                known: VERSION
            }
        ),
        "{error}"
    );
}
