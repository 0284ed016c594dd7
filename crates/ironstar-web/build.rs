//! Prepares the browser's files for embedding.
//!
//! It finds Datastar's bundle in the locked dependency that ships it, and checks the bundle's
//! hash. Each file gets a name made of its content, and a compressed copy for clients that
//! accept gzip.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The crate that ships the bundle, and the bundle's path in it. The crate is only downloaded,
/// never compiled (docs/adr/0004).
const CARRIER: &str = "rama-http";
const BUNDLE: &str = "src/service/web/endpoint/response/datastar.js";

/// The SHA-256 of Datastar 1.0.2's bundle.
const BUNDLE_SHA256: &str = "2837d87acf6ee0ba8e4e63765926c25a98d63883b02f88be194a86b81d3fd24a";

/// The parts of the pages' script behind Datastar. Each defines a function, and the last one
/// calls them. They are one script, so that a page waits for one script only.
const PAGE: [&str; 10] = [
    "page/streams.js",
    "page/connection.js",
    "page/introduction.js",
    "page/focus.js",
    "page/unsent.js",
    "page/commands.js",
    "page/editing.js",
    "page/reload.js",
    "page/sharing.js",
    "page/page.js",
];

/// The parts of the style sheet, in the order of their layers.
const STYLE: [&str; 6] = [
    "css/base.css",
    "css/layout.css",
    "css/kit.css",
    "css/todos.css",
    "css/around.css",
    "css/motion.css",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let bundle = fs::read(carrier()?.join(BUNDLE))?;
    let hash = sha256(&bundle);
    if hash != BUNDLE_SHA256 {
        return Err(format!("{BUNDLE} in {CARRIER} has an unexpected SHA-256: {hash}").into());
    }
    // The worker is a separate file, because pages load it only when they need it.
    let worker = embed(&out, "bundle.js", &joined(&["bundle.js"])?)?;
    // A block around our own parts keeps their names apart from Datastar's.
    let page = [
        bundle,
        format!("\n{{\nconst BUNDLE = {worker:?};\n").into_bytes(),
        joined(&PAGE)?,
        b"}\n".into(),
    ];
    embed(&out, "page.js", &page.concat())?;
    embed(&out, "app.css", &joined(&STYLE)?)?;
    embed(&out, "favicon.svg", &joined(&["favicon.svg"])?)?;
    Ok(())
}

/// Reads files of our own, one behind the other, as they are written.
fn joined(names: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = Vec::new();
    for name in names {
        let path = Path::new("../../static").join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        text.extend(fs::read(path)?);
    }
    Ok(text)
}

/// Writes a file for embedding, plain and compressed. Returns the path under which the server
/// serves it. The crate reads the same path from an environment variable.
fn embed(out: &Path, name: &str, content: &[u8]) -> Result<String, Box<dyn Error>> {
    fs::write(out.join(name), content)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(content)?;
    fs::write(out.join(format!("{name}.gz")), packed.finish()?)?;
    let (stem, extension) = name.split_once('.').ok_or("a file name has an extension")?;
    let hash = &sha256(content)[..16];
    let variable = stem.to_uppercase();
    let path = format!("/static/{stem}-{hash}.{extension}");
    println!("cargo:rustc-env={variable}_PATH={path}");
    Ok(path)
}

/// The folder in which Cargo keeps the carrier's sources.
fn carrier() -> Result<PathBuf, Box<dyn Error>> {
    let metadata = MetadataCommand::new()
        .other_options(["--locked".to_owned()])
        .exec()?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == CARRIER)
        .ok_or("the crate that ships Datastar's bundle is not among the dependencies")?;
    let folder = package
        .manifest_path
        .parent()
        .ok_or("a manifest is in a folder")?;
    Ok(folder.into())
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
