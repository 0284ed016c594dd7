use std::io::Write;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use flate2::write::GzDecoder;
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::*;

/// A client that decompresses as much as it can.
struct Reader(GzDecoder<Vec<u8>>);

impl Reader {
    fn new() -> Self {
        Self(GzDecoder::new(Vec::new()))
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.write_all(bytes).expect("gzip");
        self.0.flush().expect("gzip");
        std::mem::take(self.0.get_mut())
    }
}

/// A server whose stream sends the given chunks.
fn app(chunks: mpsc::UnboundedReceiver<Bytes>) -> Router {
    let chunks = Arc::new(tokio::sync::Mutex::new(Some(chunks)));
    let stream = async move || {
        let chunks = chunks.lock().await.take().expect("one client");
        let chunks = futures::stream::unfold(chunks, |mut chunks| async move {
            let chunk = chunks.recv().await?;
            Some((Ok::<_, Infallible>(chunk), chunks))
        });
        let kind = [(header::CONTENT_TYPE, "text/event-stream")];
        (kind, Body::from_stream(chunks)).into_response()
    };
    Router::new()
        .route("/", get(stream))
        .route("/page", get(async || "text"))
}

async fn ask(app: Router, path: &str, encodings: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(encodings) = encodings {
        request = request.header(header::ACCEPT_ENCODING, encodings);
    }
    let request = request.body(Body::empty()).expect("a request");
    let is_taken = takes_gzip(request.headers());
    let response = app.oneshot(request).await.expect("an answer");
    super::stream(&Arc::new(Packer::new()), is_taken, response)
}

async fn chunk(body: &mut BodyDataStream) -> Bytes {
    body.next().await.expect("a chunk").expect("bytes")
}

#[tokio::test]
async fn chunk_is_readable_as_soon_as_it_arrives() {
    let (sender, chunks) = mpsc::unbounded_channel();
    let response = ask(app(chunks), "/", Some("br;q=1.0, gzip;q=0.8")).await;
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[header::VARY], "accept-encoding");
    let mut body = response.into_body().into_data_stream();
    let mut reader = Reader::new();
    assert!(reader.read(&chunk(&mut body).await).is_empty(), "a header");
    let long = "data: elements <li>Todo</li>\n".repeat(10_000);
    let marks = [":1\n".repeat(21), ":1\n".repeat(22)];
    let [short, kept] = marks.each_ref().map(|mark| &**mark);
    for text in ["id: 1\n\n", "", "x", short, &long, "\n", kept, "id: 2\n\n"] {
        sender.send(Bytes::from(text.to_owned())).expect("sent");
        let packed = chunk(&mut body).await;
        assert_eq!(reader.read(&packed), text.as_bytes());
        assert!(packed.len() < text.len() / 20 + 70, "{}", packed.len());
    }
    drop(sender);
    let end = chunk(&mut body).await;
    assert!(reader.read(&end).is_empty());
    reader.0.finish().expect("the right checksum and length");
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn chunk_is_compressed_once_for_all_clients() {
    let packer = Packer::new();
    let one = Bytes::from("data: a\n\n".repeat(100));
    let packed = packer.pack(&one);
    assert_eq!(packer.pack(&one.clone()).as_ptr(), packed.as_ptr());
    let same_text = Bytes::from("data: a\n\n".repeat(100));
    let again = packer.pack(&same_text);
    assert_eq!(again, packed);
    assert_ne!(again.as_ptr(), packed.as_ptr(), "it is another chunk");
    for number in 0..KEPT {
        packer.pack(&Bytes::from(number.to_string().repeat(SHORT)));
    }
    let kept = packer.0.lock().recent.len();
    assert_eq!(kept, KEPT, "only the newest chunks are kept");
    assert_ne!(
        packer.pack(&one).as_ptr(),
        packed.as_ptr(),
        "the first chunk is forgotten"
    );
}

#[test]
fn short_chunks_displace_no_others() {
    let packer = Packer::new();
    let long = Bytes::from("data: a\n\n".repeat(100));
    let packed = packer.pack(&long);
    for number in 0..=KEPT {
        packer.pack(&Bytes::from(format!(":{number}\n")));
    }
    assert_eq!(packer.pack(&long).as_ptr(), packed.as_ptr());
    assert_eq!(packer.0.lock().recent.len(), 1);
}

#[tokio::test]
async fn only_streams_are_compressed_and_only_for_clients_that_accept_gzip() {
    for (encodings, is_packed) in [
        (None, false),
        (Some("identity"), false),
        (Some("gzip;q=0"), false),
        (Some("gzip; Q=0.0"), false),
        (Some("deflate, br, zstd"), false),
        (Some("x-gzip"), false),
        (Some("gzip"), true),
        (Some("br, GZIP; q=0.1"), true),
    ] {
        let (_sender, chunks) = mpsc::unbounded_channel();
        let response = ask(app(chunks), "/", encodings).await;
        assert_eq!(response.status(), StatusCode::OK);
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        assert_eq!(encoding.is_some(), is_packed, "{encodings:?}");
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
    }
    let (_sender, chunks) = mpsc::unbounded_channel();
    let page = ask(app(chunks), "/page", Some("gzip")).await;
    assert_eq!(page.headers().get(header::CONTENT_ENCODING), None);
    assert_eq!(page.headers().get(header::VARY), None);
}

#[test]
fn incompressible_chunk_is_read_as_it_was_written() {
    // Numbers without a pattern (Marsaglia, "Xorshift RNGs", 2003).
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    for length in [8, 1_000, 100_000] {
        let chunk: Vec<u8> = noise.by_ref().take(length / 8).flatten().collect();
        let mut compress = Compress::new(Compression::fast(), false);
        let blocks = deflate(&mut compress, &chunk);
        let mut read = flate2::read::DeflateDecoder::new(&*blocks);
        let mut whole = vec![0; chunk.len()];
        std::io::Read::read_exact(&mut read, &mut whole).expect("all of it");
        assert!(whole == chunk, "{length} bytes");
    }
}
