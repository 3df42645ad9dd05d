use axum::http::Method;

use super::layer::route;
use super::{Effect, Fault, Faults, Route};

#[test]
fn calls_are_told_apart() {
    for (call, expected) in [
        ("GET /api/projects/p", Route::Project),
        ("GET /projects/p/tunnel?service", Route::Project),
        ("GET /api/tenants", Route::Project),
        ("GET /api/projects/p/tables/t?extended", Route::Metadata),
        ("GET /api/projects/p/tables?name=x", Route::Metadata),
        (
            "GET /api/projects/p/tables/t?partitions&expectmarker=true",
            Route::Metadata,
        ),
        ("POST /api/projects/p/instances", Route::Submit),
        (
            "GET /api/projects/p/instances/i?taskstatus",
            Route::Instance,
        ),
        (
            "POST /projects/p/instances/i?downloads",
            Route::CreateDownload,
        ),
        (
            "GET /projects/p/instances/i?downloadid=1&data=",
            Route::Read,
        ),
        (
            "POST /projects/p/tables/t?uploads=1&partition=ds%3D1",
            Route::CreateUpload,
        ),
        ("GET /projects/p/tables/t?uploadid=1", Route::ReloadUpload),
        (
            "PUT /projects/p/tables/t?uploadid=1&blockid=0&arrow",
            Route::PutBlock,
        ),
        ("POST /projects/p/tables/t?uploadid=1", Route::Commit),
        (
            "POST /projects/p/schemas/default/tables/t?uploadid=1",
            Route::Commit,
        ),
        ("POST /projects/p/tables/t?downloads", Route::CreateDownload),
        (
            "GET /projects/p/tables/t?downloadid=1",
            Route::ReloadDownload,
        ),
        (
            "GET /projects/p/tables/t?downloadid=1&data&rowrange=(0,1)",
            Route::Read,
        ),
        (
            "GET /projects/p/schemas/default/tables/t/preview?limit=1",
            Route::Read,
        ),
        ("GET /nothing", Route::Other),
    ] {
        let (method, target) = call.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        assert_eq!(route(&method, target), expected, "{call}");
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
