use proptest::prelude::*;

use super::*;

const CONFIG: &str = r#"{
    "current": "nightly",
    "profiles": [
        { "name": "nightly", "mode": "AK", "access_key_id": "id1", "access_key_secret": "s3cret1", "sts_token": "", "region_id": "cn-x" },
        { "name": "short", "mode": "StsToken", "access_key_id": "id2", "access_key_secret": "s3cret2", "sts_token": "t0ken", "sts_expiration": 1772420645 },
        { "name": "role", "mode": "RamRoleArn", "access_key_id": "id3", "access_key_secret": "s3cret3", "ram_role_arn": "acs:x" },
        { "name": "bare", "mode": "StsToken", "access_key_id": "id4", "access_key_secret": "s3cret4" }
    ],
    "meta_path": ""
}"#;

const INI: &str = "\u{feff}# keys of the team
[default]                 # the usual one
enable = true             # may be left out
type = access_key
access_key_id = id1
access_key_secret = s3cret=#1 ; not shown

[short]
type=sts
access_key_id=id2
access_key_secret=s3cret2
security_token=t0ken
[off]
enable = false
type = access_key
[role]
type = ecs_ram_role
";

fn key(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_id: id.into(),
        secret: Secret::new(secret),
        security_token: token.map(Secret::new),
    }
}

#[test]
fn profiles_are_read_from_both_kinds_of_files() {
    let expires = Some("2026-03-02T03:04:05Z".parse().unwrap());
    for (text, name, credentials, expires) in [
        (CONFIG, None, key("id1", "s3cret1", None), None),
        (CONFIG, Some("nightly"), key("id1", "s3cret1", None), None),
        (
            CONFIG,
            Some("short"),
            key("id2", "s3cret2", Some("t0ken")),
            expires,
        ),
        (INI, None, key("id1", "s3cret=#1", None), None),
        (
            INI,
            Some("short"),
            key("id2", "s3cret2", Some("t0ken")),
            None,
        ),
    ] {
        let profile = profile::parse(text, name).unwrap();
        assert_eq!(*profile.credentials, credentials, "{name:?}");
        assert_eq!(profile.expires, expires, "{name:?}");
    }
}

#[test]
fn other_profiles_are_refused_by_name_and_without_a_value() {
    for (text, name, problem) in [
        (
            CONFIG,
            "role",
            "profile \"role\" has mode RamRoleArn, and `AK` and `StsToken` are taken; have another program",
        ),
        (CONFIG, "bare", "profile \"bare\" has no `sts_token`"),
        (
            CONFIG,
            "x",
            "it has no profile \"x\"; it has \"nightly\", \"short\", \"role\", \"bare\"",
        ),
        (
            INI,
            "role",
            "profile \"role\" has type ecs_ram_role, and `access_key` and `sts` are taken; have another program",
        ),
        (INI, "off", "profile \"off\" is switched off by `enable`"),
        (
            INI,
            "x",
            "it has no profile \"x\"; it has \"default\", \"off\", \"role\", \"short\"",
        ),
        (
            "",
            "x",
            "it has no profile; make one with `aliyun configure`",
        ),
        (
            "{\"profiles\": 7}",
            "x",
            "it is no `config.json` of the command line tool `aliyun`; look at line 1, column 14",
        ),
        (
            "{\"profiles\": [{\"name\": \"x\", \"mode\": \"s3cret-9\"}]}",
            "x",
            "profile \"x\" has an unknown mode, and",
        ),
        (
            "{\"profiles\": [{\"name\": \"x\", \"mode\": []}]}",
            "x",
            "it is no `config.json`",
        ),
        (
            "[a]\ns3cret",
            "a",
            "line 2 is neither `[profile]` nor, below one, `key = value`",
        ),
        ("s3cret = 1", "a", "line 1 is neither `[profile]` nor"),
    ] {
        let error = profile::parse(text, Some(name)).unwrap_err();
        assert!(error.starts_with(problem), "{error}");
        assert!(
            !error.contains("s3cret") && !error.contains("t0ken"),
            "{error}"
        );
    }
    let error = profile::parse("{\"profiles\": []}", None).unwrap_err();
    assert_eq!(
        error,
        "it calls no profile current; name one with `profile`"
    );
}

fn file(text: &str) -> (tempfile::TempDir, CredentialSource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, text).unwrap();
    let profile = Some("short".to_owned());
    (
        folder,
        CredentialSource::File(ProfileFile { path, profile }),
    )
}

#[test]
fn a_file_is_read_again_for_those_that_hold_old_credentials() {
    let (folder, source) = file(CONFIG);
    let keyring = Keyring::open(source, Duration::ZERO).unwrap();
    let old = keyring.current();
    assert_eq!(keyring.renew(&old), Some(Ok(false)));
    let text = CONFIG.replace("s3cret2", "s3cret-new");
    fs::write(folder.path().join("config.json"), text).unwrap();
    assert_eq!(keyring.renew(&old), Some(Ok(true)));
    let new = keyring.current();
    assert_eq!(new.secret.expose(), "s3cret-new");
    // Whoever comes later with the old ones needs no file for it.
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert_eq!(keyring.renew(&old), Some(Ok(true)));
    let error = keyring.renew(&new).unwrap().unwrap_err();
    assert!(error.contains("config.json can't be read: "), "{error}");
    assert_eq!(keyring.redact("s3cret2 s3cret-new t0ken".into()), "… … …");
}

#[test]
fn given_credentials_stay() {
    let keyring = Keyring::open(key("i", "s", None).into(), Duration::ZERO).unwrap();
    assert_eq!(keyring.renew(&keyring.current()), None);
    assert!(!keyring.is_look_due("2026-03-02T03:04:05Z".parse().unwrap(), Duration::MAX));
}

#[test]
fn a_look_is_due_shortly_before_they_expire_and_then_now_and_again() {
    let (_folder, source) = file(CONFIG);
    let keyring = Keyring::open(source, Duration::ZERO).unwrap();
    let seconds = Duration::from_secs;
    let early = "2026-03-02T02:59:05Z".parse().unwrap();
    let late = "2026-03-02T02:59:06Z".parse().unwrap();
    assert!(!keyring.is_look_due(early, seconds(100)));
    assert!(!keyring.is_look_due(late, seconds(9)));
    assert!(keyring.is_look_due(late, seconds(10)));
    assert!(!keyring.is_look_due(late, seconds(19)));
    assert!(keyring.is_look_due("2026-03-02T09:00:00Z".parse().unwrap(), seconds(20)));
}

proptest! {
    #[test]
    fn no_file_panics(text in "\\PC{0,200}", cut in 0..CONFIG.len(), lines in "[\\[\\]=;# a-z\n]{0,80}") {
        for text in [text.as_str(), CONFIG.get(..cut).unwrap_or_default(), &lines, &format!("{{{text}")] {
            let _may_be_refused = profile::parse(text, Some("a"));
        }
        if let Some(start) = CONFIG.get(..cut) {
            prop_assert!(profile::parse(start, None).is_err());
        }
    }
}
