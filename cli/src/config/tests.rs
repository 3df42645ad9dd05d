use std::path::Path;

use engine::model::job::Checked;

use super::*;
use crate::failure::Exit;

const JOB: &str = r#"
job: orders_daily
time_zone: Asia/Shanghai
source: { kafka: { datasource: shop_kafka, topic: orders } }
window: { start: "${day}000000", end: "${dayAfter}000000" }
destination:
  maxcompute: { datasource: shop_odps, table: orders, partition: { ds: "${day}" } }
columns: { order_id: order.id }
parameters: { day: "$[yyyymmdd-1]", dayAfter: "$[yyyymmdd]" }
"#;

const SOURCES: &str = r#"
environments:
  dev:
    shop_kafka: { kafka: { brokers: ["127.0.0.1:9092"] } }
    shop_odps:
      maxcompute:
        { endpoint: "http://127.0.0.1:8090/api", project: shop_dev, access_id: id, access_secret: "${env.SECRET}" }
  prod:
    shop_kafka: { kafka: { brokers: ["kafka:9092"] } }
    shop_odps:
      maxcompute: { endpoint: "http://odps/api", project: shop, access_id: id, access_secret: "${env.SECRET}" }
"#;

/// 2026-11-23 01:00 in Shanghai, and still the day before in UTC.
fn surroundings(variable: &dyn Fn(&str) -> Option<String>) -> Surroundings<'_> {
    Surroundings {
        variable,
        time_zone: TimeZone::UTC,
        now: "2026-11-22T17:00:00Z".parse().unwrap(),
    }
}

fn secret(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "hush".to_owned())
}

fn args(folder: &Path) -> JobArgs {
    JobArgs {
        job: folder.join("orders.yaml"),
        env: Some("dev".to_owned()),
        sources: None,
        set: Vec::new(),
    }
}

fn checked(args: &JobArgs, at: Option<&str>) -> Result<Checked, Failure> {
    surroundings(&secret).job(args, at)
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn the_scheduled_time_is_local_in_the_jobs_zone() {
    let folder = folder(&[("orders.yaml", JOB), ("sources.yaml", SOURCES)]);
    let args = args(folder.path());
    let day = |at| {
        checked(&args, at)
            .unwrap()
            .job
            .destination
            .partition
            .to_string()
    };
    assert_eq!(day(Some("2026-11-20T00:15:00")), "ds=20261119");
    assert_eq!(day(Some("20261120001500")), "ds=20261119");
    assert_eq!(day(Some("2026-11-19T20:00:00Z")), "ds=20261119");
    assert_eq!(day(None), "ds=20261122");
    let failure = checked(&args, Some("yesterday")).unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    assert!(
        failure.text().starts_with("error: --at: `yesterday` "),
        "{}",
        failure.text()
    );
}

#[test]
fn sources_lie_beside_the_job_unless_they_are_named() {
    let folder = folder(&[("orders.yaml", JOB), ("sources.yaml", SOURCES)]);
    let mut args = args(folder.path());
    let project = |args: &JobArgs| {
        checked(args, None).map(|checked| checked.job.destination.connection.project)
    };
    assert_eq!(project(&args).unwrap(), "shop_dev");
    args.env = Some("prod".to_owned());
    assert_eq!(project(&args).unwrap(), "shop");

    fs::rename(
        folder.path().join("sources.yaml"),
        folder.path().join("other.yaml"),
    )
    .unwrap();
    assert!(
        project(&args)
            .unwrap_err()
            .text()
            .contains("there is no sources.yaml")
    );
    args.sources = Some(folder.path().join("other.yaml"));
    assert_eq!(project(&args).unwrap(), "shop");
    args.sources = Some(folder.path().join("none.yaml"));
    let text = project(&args).unwrap_err().text();
    assert!(
        text.starts_with("error: the sources file ") && text.contains("none.yaml"),
        "{text}"
    );
}

#[test]
fn parameters_can_be_set() {
    let folder = folder(&[("orders.yaml", JOB), ("sources.yaml", SOURCES)]);
    let mut args = args(folder.path());
    args.set = vec![("day".to_owned(), "20261101".to_owned())];
    let job = checked(&args, None).unwrap().job;
    assert_eq!(job.destination.partition.to_string(), "ds=20261101");
    args.set = vec![("dya".to_owned(), "20261101".to_owned())];
    let failure = checked(&args, None).unwrap_err();
    assert!(
        failure.text().contains("did you mean `day`?"),
        "{}",
        failure.text()
    );
}

#[test]
fn findings_are_all_there_for_people_and_programs() {
    let broken = JOB
        .replace("topic: orders", "topic: \"a b\"")
        .replace("job: orders_daily", "job: '-'");
    let folder = folder(&[("orders.yaml", &broken), ("sources.yaml", SOURCES)]);
    let failure = checked(&args(folder.path()), None).unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    let findings = failure.document()["error"]["findings"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(
        (failure.text().lines().count(), findings),
        (2, 2),
        "{}",
        failure.text()
    );
}

#[test]
fn the_state_folder_follows_the_xdg_specification() {
    let folder = |state: Option<&str>, xdg: Option<&str>, home: Option<&str>| {
        let variable = |name: &str| match name {
            "XDG_STATE_HOME" => xdg.map(str::to_owned),
            "HOME" => home.map(str::to_owned),
            _ => None,
        };
        let args = StateArgs {
            state: state.map(PathBuf::from),
        };
        surroundings(&variable).state_folder(&args).ok()
    };
    let path = |text: &str| Some(PathBuf::from(text));
    assert_eq!(
        folder(Some("here"), Some("/xdg"), Some("/users/me")),
        path("here")
    );
    assert_eq!(
        folder(None, Some("/xdg"), Some("/users/me")),
        path("/xdg/tidegate")
    );
    assert_eq!(
        folder(None, None, Some("/users/me")),
        path("/users/me/.local/state/tidegate")
    );
    assert_eq!(
        folder(None, Some("relative"), Some("/users/me")),
        path("/users/me/.local/state/tidegate")
    );
    assert_eq!(folder(None, Some(""), None), None);
}

#[test]
fn zones_and_secrets_are_looked_up() {
    let surroundings = surroundings(&secret);
    assert_eq!(surroundings.zone(None).unwrap(), TimeZone::UTC);
    assert_eq!(
        surroundings
            .zone(Some("Asia/Shanghai"))
            .unwrap()
            .iana_name(),
        Some("Asia/Shanghai")
    );
    assert!(surroundings.zone(Some("+08:00")).is_ok());
    assert_eq!(
        surroundings.zone(Some("Asia/Shangai")).unwrap_err().exit(),
        Exit::Usage
    );
    assert_eq!(
        surroundings
            .required_variable("--secret-from-env", "SECRET")
            .unwrap(),
        "hush"
    );
    let failure = surroundings
        .required_variable("--secret-from-env", "OTHER")
        .unwrap_err();
    assert_eq!(
        failure.text(),
        "error: --secret-from-env: the environment variable OTHER is not set; export it"
    );
}

#[test]
fn an_access_key_comes_from_the_job_a_profile_or_the_environment_in_this_order() {
    let home = tempfile::tempdir().unwrap();
    let home_path = home.path().display().to_string();
    let keys = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "env-id"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "env-secret"),
    ];
    let file = [("ALIBABA_CLOUD_CREDENTIALS_FILE", "/env/credentials")];
    let named = [("ALIBABA_CLOUD_PROFILE", "env-profile")];
    let of = |connection: &str, variables: &[(&str, &str)]| {
        let job = JOB.replace(
            "datasource: shop_odps,",
            &format!("endpoint: \"http://odps/api\", project: shop, {connection}"),
        );
        let folder = folder(&[("orders.yaml", &job), ("sources.yaml", SOURCES)]);
        let variable = |name: &str| {
            let mut all = variables.iter().chain([&("SECRET", "hush")]);
            let found = all.find(|(key, _)| *key == name).map(|(_, value)| *value);
            found
                .map(str::to_owned)
                .or((name == "HOME").then(|| home_path.clone()))
        };
        let checked = surroundings(&variable)
            .job(&args(folder.path()), None)
            .unwrap();
        let connection = checked.job.destination.connection;
        let file = connection.credentials_file.map(|path| {
            let path = path.display().to_string();
            path.replace(&home_path, "~")
        });
        (connection.access_id, connection.profile, file)
    };
    let some = |text: &str| Some(text.to_owned());
    let own = "access_id: job-id, access_secret: \"${env.SECRET}\",";
    assert_eq!(
        of(own, &[keys.as_slice(), &file, &named].concat()),
        (some("job-id"), None, None)
    );
    let all = [keys.as_slice(), &file, &named].concat();
    assert_eq!(
        of("profile: load,", &all),
        (None, some("load"), some("/env/credentials"))
    );
    assert_eq!(of("credentials_file: /c,", &all), (None, None, some("/c")));
    assert_eq!(of("", &all), (some("env-id"), None, None));
    assert_eq!(
        of("", &[file, named].concat()),
        (None, some("env-profile"), some("/env/credentials"))
    );
    assert_eq!(of("", &file), (None, None, some("/env/credentials")));
    assert_eq!(
        of("", &named),
        (
            None,
            some("env-profile"),
            some("~/.alibabacloud/credentials")
        )
    );
    assert_eq!(of("", &[]), (None, None, None));
    fs::create_dir(home.path().join(".aliyun")).unwrap();
    fs::write(home.path().join(".aliyun/config.json"), "{}").unwrap();
    assert_eq!(
        of("profile: load,", &keys),
        (None, some("load"), some("~/.aliyun/config.json"))
    );
}

#[test]
fn a_time_that_is_none_is_blamed_on_its_flag() {
    let folder = folder(&[("orders.yaml", JOB)]);
    let args = args(folder.path());
    let surroundings = surroundings(&secret);
    let failed = |from, to| {
        let failure = surroundings.backfill(&args, (from, to), None).unwrap_err();
        failure.text()
    };
    for (from, to, flag) in [
        ("soon", "2026-11-01", "--from"),
        ("2026-10-01", "soon", "--to"),
    ] {
        let text = failed(from, to);
        assert!(text.starts_with(&format!("error: {flag}: ")), "{text}");
    }
    let text = surroundings
        .windows(&args, Some("soon"))
        .unwrap_err()
        .text();
    assert!(text.starts_with("error: --at: "), "{text}");
}
