//! The HTTP client for GitHub. It follows no redirects, and limits the size of answers.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ironstar_ports::IdentityError;
use oauth2::http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use oauth2::http::{Request, Response, StatusCode};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The time limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// The largest answer, in bytes.
const MOST: usize = 64 * 1024;

/// The user agent, which GitHub requires.
const WHO: HeaderValue = HeaderValue::from_static(concat!("ironstar/", env!("CARGO_PKG_VERSION")));

#[derive(Clone, Debug)]
pub(super) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Errors of a request. They leave out the address and the content of the request, which may
/// be secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the request failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer has more than {MOST} bytes")]
    TooLong,
    #[error("the answer is not JSON of the right shape: {0}")]
    NotJson(&'static str),
}

impl HttpError {
    pub(super) fn into_identity_error(self) -> IdentityError {
        match self {
            Self::Status(status) if is_their_trouble(status) => {
                IdentityError::Unavailable(self.into())
            }
            Self::Failed(_) => IdentityError::Unavailable(self.into()),
            Self::Status(_) | Self::TooLong | Self::NotJson(_) => {
                IdentityError::Nonsense(self.into())
            }
        }
    }
}

/// Returns true if a later attempt may succeed. GitHub answers a client over its rate limit
/// with 403 or 429
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
fn is_their_trouble(status: StatusCode) -> bool {
    let is_limit = matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    );
    status.is_server_error() || is_limit
}

impl Http {
    pub(super) fn new() -> Result<Self, io::Error> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            // `address` has already refused addresses that are not secure.
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        // GitHub may close an idle connection before it is needed again, so none is kept.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request of the OAuth client.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut response = self.answer(request).await?;
        let status = response.status();
        // GitHub reports OAuth errors with a 200 or a 400, and names them in the body.
        if !status.is_success() && status != StatusCode::BAD_REQUEST {
            return Err(HttpError::Status(status));
        }
        mark_errors(&mut response);
        Ok(response)
    }

    /// Sends a GET request with a token, and reads the JSON of the answer.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        token: &str,
    ) -> Result<T, HttpError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| HttpError::NotJson("the token"))?;
        bearer.set_sensitive(true);
        let request = Request::get(url)
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/vnd.github+json")
            .body(Vec::new())
            .map_err(failed)?;
        let response = self.answer(request).await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::Status(response.status()));
        }
        read(response.body()).ok_or(HttpError::NotJson("the profile"))
    }

    async fn answer(&self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        request.headers_mut().insert(USER_AGENT, WHO);
        let response = self.0.request(request.map(Full::from)).await;
        let (head, body) = response.map_err(failed)?.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLong
            } else {
                HttpError::Failed(error)
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = BoxFuture<'c, Result<HttpResponse, HttpError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        self.send(request).boxed()
    }
}

/// Sets the status of a refusal to 400, because the OAuth client looks at the status. GitHub
/// refuses with a 200, too.
fn mark_errors(response: &mut HttpResponse) {
    #[derive(serde::Deserialize)]
    struct Refused {
        #[serde(rename = "error")]
        _error: String,
    }
    if read::<Refused>(response.body()).is_some() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
}

/// Reads a JSON object. Without the detour through a map, serde would accept an array, too.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
    serde_json::from_value(Value::Object(fields)).ok()
}

fn failed(error: impl Error + Send + Sync + 'static) -> HttpError {
    HttpError::Failed(error.into())
}
