//! The browser's files. They are embedded in the binary, and each name contains a hash of the
//! content, so browsers may cache them for ever.

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::stream::pack::takes_gzip;

/// A file that is served under a name with a hash of its content.
#[derive(Clone, Copy, Debug)]
struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    /// The content, compressed with gzip.
    packed: &'static [u8],
}

/// The path of the style sheet.
pub(crate) const STYLE: &str = env!("APP_PATH");
/// The path of the script: Datastar's bundle, followed by our own scripts.
pub(crate) const SCRIPT: &str = env!("PAGE_PATH");
/// The path of the worker that holds the streams of several pages. The script contains this
/// path.
const WORKER: &str = env!("BUNDLE_PATH");
/// The path of the icon.
pub(crate) const ICON: &str = env!("FAVICON_PATH");

const ASSETS: [Asset; 4] = [
    Asset {
        path: STYLE,
        content_type: "text/css; charset=utf-8",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/app.css")),
        packed: include_bytes!(concat!(env!("OUT_DIR"), "/app.css.gz")),
    },
    Asset {
        path: SCRIPT,
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/page.js")),
        packed: include_bytes!(concat!(env!("OUT_DIR"), "/page.js.gz")),
    },
    Asset {
        path: WORKER,
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/bundle.js")),
        packed: include_bytes!(concat!(env!("OUT_DIR"), "/bundle.js.gz")),
    },
    Asset {
        path: ICON,
        content_type: "image/svg+xml",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/favicon.svg")),
        packed: include_bytes!(concat!(env!("OUT_DIR"), "/favicon.svg.gz")),
    },
];

/// One route for each file.
pub(crate) fn routes() -> Router {
    ASSETS.into_iter().fold(Router::new(), |router, asset| {
        let serve = async move |headers: HeaderMap| asset.respond(&headers);
        router.route(asset.path, get(serve))
    })
}

impl Asset {
    fn respond(self, headers: &HeaderMap) -> Response {
        let always = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (header::VARY, "accept-encoding"),
        ];
        if takes_gzip(headers) {
            let packed = [(header::CONTENT_ENCODING, "gzip")];
            return (always, packed, self.packed).into_response();
        }
        (always, self.content).into_response()
    }
}
