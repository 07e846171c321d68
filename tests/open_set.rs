//! The smoke test of open-set identification: every identity picture, ten random divisions of the people into
//! enrolled ones and strangers, and nobody may get a name that is not theirs.

use crate::support::{runtime, shared};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rostro::assembly::load_pipeline;
use rostro::config::Config;
use rostro::embed::Embedding;
use rostro::frame::{EncodedPixels, Pixels};
use rostro::gallery::{Gallery, MemoryGallery};
use rostro::model::NoProgress;
use rostro::people::open_set_threshold;
use rostro::pipeline::Pipeline;
use std::path::{Path, PathBuf};

const SPLITS: u64 = 10;
/// Pictures that an enrolled person is learnt from.
const REFERENCES: usize = 2;

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn look_at(pipeline: &mut Pipeline, file: &Path) -> Option<Embedding> {
    let data = std::fs::read(file).unwrap();
    let seen = pipeline.examine(&Pixels::Encoded(EncodedPixels { format: "", data: &data })).unwrap();
    seen.into_iter().max_by(|a, b| a.detection.bbox.area().total_cmp(&b.detection.bbox.area()))?.embedding
}

/// The looks at each person, from every picture there is.
fn everyone(root: &Path, pipeline: &mut Pipeline) -> Vec<(String, Vec<Embedding>)> {
    let mut people = Vec::new();
    for folder in files_of(&root.join("johns")) {
        let looks = files_of(&folder).iter().filter_map(|file| look_at(pipeline, file)).collect();
        people.push((folder.file_name().unwrap().to_string_lossy().into_owned(), looks));
    }
    for name in ["biden", "obama"] {
        let files = files_of(&root.join("presidents"));
        let theirs = files.iter().filter(|file| file.file_name().unwrap().to_string_lossy().starts_with(name));
        people.push((name.to_owned(), theirs.filter_map(|file| look_at(pipeline, file)).collect()));
    }
    people
}

fn shuffle<T>(random: &mut Pcg32, things: &mut [T]) {
    for last in (1..things.len()).rev() {
        things.swap(last, random.next_u32() as usize % (last + 1));
    }
}

/// Searches by outcome.
#[derive(Debug, Default)]
struct Outcome {
    mated: u32,
    right: u32,
    wrong: u32,
    strangers: u32,
    stranger_named: u32,
}

#[test]
fn nobody_gets_a_name_that_is_not_theirs_in_ten_random_splits() {
    let test = "nobody_gets_a_name_that_is_not_theirs_in_ten_random_splits";
    let (Some(root), Some((store, _))) = (shared("data/identity", test), runtime(test)) else { return };
    let config = Config::default();
    let similarity = store.ensure(&config.identity.model, &mut NoProgress).unwrap().manifest.similarity.unwrap();
    let mut pipeline = load_pipeline(&config, &mut NoProgress).unwrap();
    let mut people = everyone(&root, &mut pipeline);
    assert_eq!(people.len(), 7);
    let mut all = Outcome::default();
    for seed in 0..SPLITS {
        let mut random = Pcg32::seed_from_u64(seed);
        shuffle(&mut random, &mut people);
        let model = people[0].1[0].model().clone();
        let mut gallery = MemoryGallery::new(model, 0);
        let (mut probes, mut enrolled) = (Vec::new(), 0);
        for (name, looks) in &people {
            let mut looks: Vec<&Embedding> = looks.iter().collect();
            shuffle(&mut random, &mut looks);
            // About half of those with enough pictures.
            let is_known = enrolled < 4 && looks.len() > REFERENCES;
            enrolled += u32::from(is_known);
            let references = if is_known { REFERENCES } else { 0 };
            for look in &looks[..references] {
                gallery.enrol(name, look, 1.0).unwrap();
            }
            probes.extend(looks[references..].iter().map(|look| (name, is_known, *look)));
        }
        let threshold =
            open_set_threshold(&similarity, gallery.len(), gallery.impostors(), config.identity.target_fpir);
        let mut split = Outcome::default();
        for (name, is_known, look) in probes {
            let found = gallery.search(look, 2).unwrap();
            let margin = found[0].similarity - found.get(1).map_or(-1.0, |other| other.similarity);
            let given = (found[0].similarity >= threshold && margin >= similarity.min_margin)
                .then(|| gallery.name(found[0].person_id).unwrap());
            if is_known {
                split.mated += 1;
                split.right += u32::from(given == Some(name));
                split.wrong += u32::from(given.is_some_and(|given| given != name));
            } else {
                split.strangers += 1;
                split.stranger_named += u32::from(given.is_some());
            }
        }
        println!("split {seed}: threshold {threshold:.3}, {split:?}");
        all.mated += split.mated;
        all.right += split.right;
        all.wrong += split.wrong;
        all.strangers += split.strangers;
        all.stranger_named += split.stranger_named;
    }
    // No error in n searches: the rate is below 3 / n at 95 % (rule of three); the searches are not
    // independent, as the same pictures come up in several splits.
    println!(
        "all splits: {all:?}; of {} searches by strangers {} named: below {:.4} at 95 % if they were independent",
        all.strangers,
        all.stranger_named,
        3.0 / f64::from(all.strangers)
    );
    assert_eq!((all.wrong, all.stranger_named), (0, 0));
    assert!(f64::from(all.right) >= 0.98 * f64::from(all.mated), "{} of {} named", all.right, all.mated);
}
