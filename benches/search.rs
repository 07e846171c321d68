//! The search of the gallery against one read of its matrix, which no exact search can beat by much;
//! memory, and the time to open the file. `cargo bench --bench search`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures and prints")]

use rostro::embed::{Embedding, ModelTag};
use rostro::gallery::{Gallery, StoredGallery};
use rostro::ids::PersonId;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

const DIMENSIONS: usize = 128;
const RUNS: usize = 41;

fn main() {
    println!("people  x refs  matrix MB  read ms  search ms  ratio  open ms  file MB  references MB  process MB");
    for (people, references) in [(10_000, 5), (100_000, 1)] {
        measure(people, references);
    }
}

fn measure(people: u64, references: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery.db");
    fill(&path, people, references);
    let began = Instant::now();
    let gallery = StoredGallery::open(&path, &tag()).unwrap();
    let open_ms = began.elapsed().as_secs_f64() * 1e3;
    let memory = gallery.memory();
    assert_eq!(memory.len() as u64, people);

    let matrix: Vec<f32> = (0..people as usize * references * DIMENSIONS).map(|at| (at % 977) as f32).collect();
    let words: Vec<u64> = (0..matrix.len() as u64 / 2).collect();
    let (mut reads, mut searches) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let began = Instant::now();
        black_box(sum(black_box(&matrix)));
        let summed = began.elapsed().as_secs_f64() * 1e3;
        let began = Instant::now();
        black_box(parity(black_box(&words)));
        reads.push(summed.min(began.elapsed().as_secs_f64() * 1e3));
        // Half of the probes are somebody's, half nobody's.
        let probe = look(if run % 2 == 0 { run as u64 * 7 } else { u64::MAX - run as u64 });
        let began = Instant::now();
        let found = memory.search(black_box(&probe), 8).unwrap();
        searches.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(found.len(), 8);
        assert!(run % 2 == 1 || found[0].similarity > 0.999);
    }
    let (read, search) = (median(reads), median(searches));
    println!(
        "{people:6}  x {references:4}  {:9.1}  {read:7.3}  {search:9.3}  {:5.2}  {open_ms:7.1}  {:7.1}  {:13.1}  {:10.1}",
        matrix.len() as f64 * 4e-6,
        search / read,
        std::fs::metadata(&path).unwrap().len() as f64 * 1e-6,
        memory.bytes() as f64 * 1e-6,
        resident_mb() - matrix.len() as f64 * 8e-6,
    );
}

fn tag() -> ModelTag {
    ModelTag::new("bench", "0123456789abcdef")
}

/// A direction that depends on the number alone.
fn look(number: u64) -> Embedding {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as i64 as f32
    });
    Embedding::new(values.take(DIMENSIONS).collect(), tag()).unwrap()
}

/// Everybody in one transaction: enrolling them one by one would wait for the disk each time.
fn fill(path: &Path, people: u64, references: usize) {
    drop(StoredGallery::open(path, &tag()).unwrap());
    let mut file = rusqlite::Connection::open(path).unwrap();
    let step = file.transaction().unwrap();
    for person in 0..people {
        let id = PersonId::from_counter(person);
        let sql = "INSERT INTO person VALUES (?1, ?2, 0, NULL, 0, 0, 0, NULL, 1)";
        step.prepare_cached(sql).unwrap().execute([id.as_str(), &format!("person {person}")]).unwrap();
        for reference in 0..references as u64 {
            let look = look(person * references as u64 + reference);
            let vector: Vec<u8> = look.unit().iter().flat_map(|value| value.to_le_bytes()).collect();
            let sql = "INSERT INTO reference (person, model, quality, stamp, source, vector) VALUES (?1, ?2, 0.8, 0, 'bench', ?3)";
            step.prepare_cached(sql).unwrap().execute((id.as_str(), "bench@01234567", vector)).unwrap();
        }
    }
    step.execute("UPDATE gallery SET next_person = ?1, revision = 1", [people as i64]).unwrap();
    step.commit().unwrap();
}

/// One read of every number, in the same way as the search reads them.
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    for row in values.chunks_exact(DIMENSIONS) {
        for chunk in row.as_chunks::<16>().0 {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value;
            }
        }
    }
    sums.iter().sum()
}

/// Another read of every number, which needs fewer steps: the bits of two numbers at a time.
fn parity(values: &[u64]) -> u64 {
    let mut bits = [0_u64; 8];
    for chunk in values.as_chunks::<8>().0 {
        for (bit, value) in bits.iter_mut().zip(chunk) {
            *bit ^= value;
        }
    }
    bits.iter().fold(0, |all, bit| all ^ bit)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0.0) * 1e-3
}
