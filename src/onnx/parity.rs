//! The imported nets of MTCNN, one by one, against torch.

use super::session::{Net, Runtime, Shapes};
use crate::config::InferenceConfig;
use crate::model::NoProgress;
use crate::model::manifest::Input;
use crate::model::runtime;
use crate::model::store::{Bundle, InstallOptions, ModelStore};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Reference {
    pnet: Vec<Case>,
    rnet: Vec<Case>,
    onet: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    sample: Sample,
    outputs: BTreeMap<String, Tensor>,
}

/// Pixels that anyone can make again; see `about` in the file.
#[derive(Deserialize)]
struct Sample {
    x: Option<u32>,
    #[serde(default)]
    y: u32,
    #[serde(default)]
    step: u32,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Tensor {
    shape: Vec<i64>,
    values: Vec<f32>,
}

impl Sample {
    fn scaled_planes(&self, picture: &image::RgbImage) -> Vec<f32> {
        let value = |c: u32, i: u32, j: u32| match self.x {
            Some(x) => picture.get_pixel(x + self.step * i, self.y + self.step * j).0[c as usize],
            None => ((7 * i + 13 * j + 29 * c + i * j / 8) % 256) as u8,
        };
        let (width, height) = (self.width, self.height);
        let rows = (0..3).flat_map(|c| (0..height).map(move |j| (c, j)));
        rows.flat_map(|(c, j)| (0..width).map(move |i| (c, i, j)))
            .map(|(c, i, j)| (f32::from(value(c, i, j)) - 127.5) / 128.0)
            .collect()
    }
}

/// The store with what the test needs, and the runtime.
fn fetch(config: &InferenceConfig) -> Result<(ModelStore, Runtime), String> {
    let store = ModelStore::open(&config.cache_dir).map_err(|e| e.to_string())?;
    let bundles = ["mtcnn", "demo-pictures"].map(|name| Bundle::load(name).unwrap());
    store.install_bundles(&bundles, &InstallOptions::default(), &mut NoProgress).map_err(|e| e.to_string())?;
    let library = runtime::ensure(&store, &mut NoProgress).map_err(|e| e.to_string())?;
    let runtime = Runtime::start(&library.path, config).map_err(|e| e.to_string())?;
    Ok((store, runtime))
}

#[test]
fn each_net_of_mtcnn_answers_as_torch_does() {
    use std::io::Write as _;
    let (store, runtime) = match fetch(&InferenceConfig::default()) {
        Ok(fetched) => fetched,
        Err(why) => {
            // Straight to the terminal: the harness hides what a passing test prints.
            let _ = writeln!(std::io::stderr(), "SKIPPED each_net_of_mtcnn_answers_as_torch_does: {why}");
            return;
        }
    };
    let model = store.ensure("mtcnn", &mut NoProgress).unwrap();
    let pictures = Bundle::load("demo-pictures").unwrap();
    let pictures = store.install_bundle(&pictures, &InstallOptions::default(), &mut NoProgress).unwrap();
    let astronaut = image::open(pictures.path("astronaut").unwrap()).unwrap().to_rgb8();

    let reference: Reference = serde_json::from_str(include_str!("../../tests/reference/mtcnn_nets.json")).unwrap();
    let input = model.manifest.input.clone().unwrap();
    for (part, side, cases) in
        [("pnet", None, reference.pnet), ("rnet", Some(24), reference.rnet), ("onet", Some(48), reference.onet)]
    {
        let input = Input { width: side, height: side, ..input.clone() };
        let mut net = Net::load(&runtime, &model, part, &input, Shapes::batches([3, 48, 48], 1, 1)).unwrap();
        assert!(cases.len() >= 2, "{part}");
        for Case { sample, outputs } in cases {
            let shape = [1, 3, sample.height as usize, sample.width as usize];
            net.run(shape, &sample.scaled_planes(&astronaut), |found| {
                assert!(outputs.len() >= 2, "{part}");
                for (name, expected) in &outputs {
                    let (shape, values) = found.tensor(name)?;
                    assert_eq!(shape, expected.shape, "{part} {name}");
                    assert_eq!(values.len(), expected.values.len());
                    for (ours, theirs) in values.iter().zip(&expected.values) {
                        assert!((ours - theirs).abs() < 1e-5, "{part} {name}: {ours} {theirs}");
                    }
                }
                Ok(())
            })
            .unwrap();
        }
    }
}
