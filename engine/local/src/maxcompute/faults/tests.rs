use axum::http::Method;

use super::layer::route;
use super::{Effect, Fault, Faults, Route};

#[test]
fn calls_are_told_apart() {
    let table = "/projects/p/tables/t";
    for (method, target, expected) in [
        (Method::GET, "/api/projects/p".to_owned(), Route::Project),
        (
            Method::GET,
            "/projects/p/tunnel?service".to_owned(),
            Route::Project,
        ),
        (Method::GET, "/api/tenants".to_owned(), Route::Project),
        (
            Method::GET,
            format!("/api{table}?extended"),
            Route::Metadata,
        ),
        (
            Method::GET,
            "/api/projects/p/tables?name=x".to_owned(),
            Route::Metadata,
        ),
        (
            Method::GET,
            format!("/api{table}?partitions&expectmarker=true"),
            Route::Metadata,
        ),
        (
            Method::POST,
            "/api/projects/p/instances".to_owned(),
            Route::Submit,
        ),
        (
            Method::GET,
            "/api/projects/p/instances/i?taskstatus".to_owned(),
            Route::Instance,
        ),
        (
            Method::POST,
            "/projects/p/instances/i?downloads".to_owned(),
            Route::CreateDownload,
        ),
        (
            Method::GET,
            "/projects/p/instances/i?downloadid=1&data=".to_owned(),
            Route::Read,
        ),
        (
            Method::POST,
            format!("{table}?uploads=1&partition=ds%3D1"),
            Route::CreateUpload,
        ),
        (
            Method::GET,
            format!("{table}?uploadid=1"),
            Route::ReloadUpload,
        ),
        (
            Method::PUT,
            format!("{table}?uploadid=1&blockid=0&arrow"),
            Route::PutBlock,
        ),
        (Method::POST, format!("{table}?uploadid=1"), Route::Commit),
        (
            Method::POST,
            "/projects/p/schemas/default/tables/t?uploadid=1".to_owned(),
            Route::Commit,
        ),
        (
            Method::POST,
            format!("{table}?downloads"),
            Route::CreateDownload,
        ),
        (
            Method::GET,
            format!("{table}?downloadid=1"),
            Route::ReloadDownload,
        ),
        (
            Method::GET,
            format!("{table}?downloadid=1&data&rowrange=(0,1)"),
            Route::Read,
        ),
        (
            Method::GET,
            "/projects/p/schemas/default/tables/t/preview?limit=1".to_owned(),
            Route::Read,
        ),
        (Method::GET, "/nothing".to_owned(), Route::Other),
    ] {
        assert_eq!(route(&method, &target), expected, "{method} {target}");
    }
}

#[test]
fn faults_meet_the_calls_that_they_want() {
    let faults = Faults::new();
    let status = |met: Option<(Effect, std::time::Duration)>| match met {
        Some((Effect::Answer { status, .. }, _)) => status,
        _ => 0,
    };
    faults.add(Fault::answer(Route::Commit, 500, "A").from_call(2).times(2));
    faults.add(
        Fault::answer(Route::PutBlock, 503, "B")
            .always()
            .only(|call| call.target.contains("blockid=7&")),
    );
    let calls = [
        (Route::Commit, "/1", 0),
        (Route::Commit, "/2", 500),
        (Route::ReloadUpload, "/", 0),
        (Route::Commit, "/3", 500),
        (Route::Commit, "/4", 0),
        (Route::PutBlock, "?blockid=7&arrow", 503),
        (Route::PutBlock, "?blockid=8&arrow", 0),
        (Route::PutBlock, "?blockid=7&arrow", 503),
    ];
    for (route, target, expected) in calls {
        assert_eq!(
            status(faults.meet(route, target)),
            expected,
            "{route:?} {target}"
        );
    }
    assert_eq!(
        (faults.calls(Route::Commit), faults.calls(Route::PutBlock)),
        (4, 3)
    );
    assert_eq!(faults.left(), 0);
    faults.clear();
    assert_eq!(status(faults.meet(Route::PutBlock, "?blockid=7&")), 0);
    // Of two that want a call, the older one gets it; the other waits for the next.
    faults.add(Fault::answer(Route::Commit, 429, "C"));
    faults.add(Fault::answer(Route::Commit, 502, "D"));
    assert_eq!(faults.left(), 2);
    assert_eq!(status(faults.meet(Route::Commit, "/")), 429);
    assert_eq!(status(faults.clone().meet(Route::Commit, "/")), 502);
    assert_eq!(faults.left(), 0);
}
