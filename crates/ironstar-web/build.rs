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
    let worker = embed(&out, "bundle.js", &ours("bundle.js")?)?;
    // All other scripts are one module, so that a page waits for one script only. A block
    // around each part keeps its names apart.
    let streams = [
        format!("\n{{\nconst BUNDLE = {worker:?};\n").into_bytes(),
        ours("streams.js")?,
        b"}\n{\n".into(),
        ours("page.js")?,
        b"}\n".into(),
    ];
    let script = [bundle, streams.concat()].concat();
    embed(&out, "page.js", &script)?;
    for name in ["app.css", "favicon.svg"] {
        embed(&out, name, &ours(name)?)?;
    }
    Ok(())
}

/// Reads one of our own files, without indentation, empty lines, and comments on lines of
/// their own. Only human readers need these.
fn ours(name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let path = Path::new("../../static").join(name);
    println!("cargo:rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    Ok(lines
        .flat_map(|line| [line, "\n"])
        .collect::<String>()
        .into())
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
