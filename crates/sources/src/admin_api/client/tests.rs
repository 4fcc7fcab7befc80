//! Every kind of answer, from a server that gives one answer only.

use axum::Router;
use axum::body::Body;
use axum::http::{Request as HttpRequest, Response as HttpResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::polling_client;

const LARGEST: usize = 4096;
const REQUEST: Request = Request {
    date_from: 1_795_223_730_447,
    first: 3,
    max: 50,
};

struct Server {
    url: Url,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Gives out tokens, and answers everything else by `answer`.
async fn server(
    answer: impl Fn(&HttpRequest<Body>) -> HttpResponse<Body> + Clone + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let router = Router::new().fallback(move |request: HttpRequest<Body>| {
        let answer = answer.clone();
        async move {
            if request.uri().path().ends_with("/token") {
                let token = r#"{"access_token":"token-very-secret","token_type":"bearer"}"#;
                let json = HttpResponse::builder().header("content-type", "application/json");
                return json.body(Body::from(token)).unwrap();
            }
            answer(&request)
        }
    });
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { url, task }
}

fn api(url: &Url, kind: EventKind) -> AdminApi {
    let access = Arc::new(Access::new(&polling_client(url.as_str())).unwrap());
    let tokens = access.tokens("shop");
    let requests = Arc::new(Semaphore::new(1));
    AdminApi::new(access, tokens, requests, ("shop", kind), LARGEST)
}

async fn failure(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> PollError {
    let (headers, body) = (headers.to_vec(), body.to_owned());
    let server = server(move |_request| {
        let response = HttpResponse::builder().status(status);
        let with = |response: axum::http::response::Builder, (name, value): &(&str, &str)| {
            response.header(*name, *value)
        };
        headers
            .iter()
            .fold(response, with)
            .body(Body::from(body.clone()))
            .unwrap()
    })
    .await;
    api(&server.url, EventKind::User)
        .page(REQUEST)
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn a_request_names_the_realm_the_kind_and_the_window() {
    let server = server(|request| HttpResponse::new(Body::from(request.uri().to_string()))).await;
    for (kind, path) in [
        (EventKind::User, "events"),
        (EventKind::Admin, "admin-events"),
    ] {
        let answer = api(&server.url, kind).page(REQUEST).await.unwrap();
        let expected = format!(
            "/admin/realms/shop/{path}?dateFrom=1795223730447&direction=asc&first=3&max=50"
        );
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
    }
}

#[tokio::test]
async fn statuses_are_told_apart() {
    assert!(matches!(
        failure(401, &[], "").await,
        PollError::Unauthorized
    ));
    assert!(matches!(failure(403, &[], "").await, PollError::Forbidden));
    assert!(matches!(failure(404, &[], "").await, PollError::NotFound));
    let moved = failure(302, &[("location", "https://elsewhere/")], "").await;
    assert!(
        matches!(moved, PollError::Redirected { status: 302 }),
        "it must not be followed"
    );
    for status in [408, 429, 500, 502, 503] {
        let busy = failure(status, &[], "").await;
        assert!(
            matches!(
                busy,
                PollError::Busy {
                    retry_after: None,
                    ..
                }
            ),
            "{busy}"
        );
    }
    let asked = failure(503, &[("retry-after", "7")], "").await;
    let seven = Some(Duration::from_secs(7));
    assert!(matches!(asked, PollError::Busy { retry_after, .. } if retry_after == seven));
}

#[tokio::test]
async fn a_refusal_repeats_the_beginning_of_what_keycloak_said() {
    let said = format!(
        "{{\"error\":\"Invalid value for 'Date(From)'\u{1b}{}\"}}",
        "x".repeat(500)
    );
    let refused = failure(400, &[], &said).await;
    let PollError::Rejected {
        status: 400,
        excerpt,
    } = &refused
    else {
        panic!("{refused}")
    };
    assert!(
        excerpt.contains(r"Invalid value for \'Date(From)\'\u{1b}x"),
        "{excerpt}"
    );
    assert!(excerpt.chars().count() < 250, "{excerpt}");
}

#[tokio::test]
async fn a_token_that_comes_back_is_hidden() {
    let server = server(|request| {
        let sent = request.headers().get("authorization").unwrap();
        let sent = sent.to_str().unwrap();
        let refusal = HttpResponse::builder().status(400);
        refusal
            .body(Body::from(format!("what is {sent}?")))
            .unwrap()
    })
    .await;
    let refused = api(&server.url, EventKind::User).page(REQUEST).await;
    let refused = refused.err().unwrap();
    let PollError::Rejected { excerpt, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(excerpt, "what is Bearer (hidden)?");
}

#[tokio::test]
async fn an_answer_of_any_size_is_not_held_in_memory() {
    let large = "x".repeat(LARGEST + 1);
    let error = failure(200, &[], &large).await;
    assert!(
        matches!(error, PollError::TooLarge { limit: LARGEST }),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = api(&url, EventKind::User)
        .server_time()
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, PollError::Token(_)),
        "the token comes first: {error}"
    );
    assert!(error.may_pass());
}

#[tokio::test]
async fn the_time_of_the_server_comes_from_its_answers() {
    let dated = server(|_request| {
        let response = HttpResponse::builder().header("date", "Sat, 21 Nov 2026 02:15:30 GMT");
        response.body(Body::from("[]")).unwrap()
    })
    .await;
    let clock = api(&dated.url, EventKind::Admin)
        .server_time()
        .await
        .unwrap();
    let since = clock.at(Instant::now()) - 1_795_227_330_000;
    assert!((0..60_000).contains(&since), "{since}");
}
