//! Inputs of use: in memory, and in folders with a file for each.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use crate::mutate::Random;

#[derive(Default)]
pub struct Corpus(Vec<Vec<u8>>);

impl Corpus {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn add(&mut self, input: Vec<u8>) {
        self.0.push(input);
    }

    /// One of them into `input`: a new one every second time, for what is next to it has been tried least.
    pub fn pick(&self, random: &mut Random, input: &mut Vec<u8>) {
        input.clear();
        let newest = if random.below(2) == 0 { 16 } else { usize::MAX };
        if let Some(last) = self.0.len().checked_sub(1) {
            input.extend_from_slice(&self.0[last - random.below(self.0.len().min(newest))]);
        }
    }

    /// Any of them.
    pub fn any(&self, random: &mut Random) -> &[u8] {
        if self.0.is_empty() { &[] } else { &self.0[random.below(self.0.len())] }
    }
}

/// Every file of a folder, in the order of their names. A folder that is not there is empty.
pub fn read_named(folder: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), std::fs::read(path)?))).collect()
}

pub fn read(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    Ok(read_named(folder)?.into_iter().map(|(_, input)| input).collect())
}

/// Whether the file was written by `write`.
pub fn is_found(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.len() == 16 && name.chars().all(|letter| letter.is_ascii_hexdigit())
}

/// Into a file whose name comes from what it holds.
pub fn write(folder: &Path, input: &[u8]) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = folder.join(format!("{:016x}", hasher.finish()));
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, input)?;
    Ok(path)
}
