use super::*;
use proptest::prelude::*;

#[test]
fn every_built_in_manifest_is_right() {
    for (name, text) in BUILT_IN {
        let manifest = Manifest::parse(name, text).unwrap();
        assert_eq!(manifest.name, *name);
        for file in &manifest.files {
            assert_ne!(file.sha256, "0".repeat(64), "{name}: {}", file.name);
            match &file.from {
                Origin::Pip { .. } => assert_eq!(manifest.pack, Pack::Open, "{name}"),
                Origin::Url { url, .. } => assert!(url.starts_with("https://"), "{name}"),
                Origin::Beside => panic!("{name}: nothing lies beside a built-in manifest"),
                Origin::BuiltIn => {
                    let bytes = weights(&file.name).unwrap();
                    assert_eq!(crate::model::fetch::sha256(bytes), file.sha256, "{name}: {}", file.name);
                }
            }
        }
    }
}

#[test]
fn every_manifest_of_the_folder_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let in_folder: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(in_folder, BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect());
}

/// The error of a built-in manifest in which `old` is replaced by `new`.
fn error_with(name: &str, old: &str, new: &str) -> ManifestError {
    let text = text_of(name).unwrap();
    assert!(text.contains(old), "{name} has no {old}");
    Manifest::parse(name, &text.replacen(old, new, 1)).unwrap_err()
}

#[test]
fn a_value_that_cannot_be_is_refused_with_manifest_and_field() {
    for (name, old, new, field) in [
        ("mtcnn", "manifest = 1", "manifest = 2", "manifest"),
        ("mtcnn", "name = \"mtcnn\"", "name = \"../mtcnn\"", "name"),
        ("mtcnn", "license = \"MIT\"", "license = \" \"", "license"),
        ("mtcnn", "pack = \"open\"", "pack = \"research\"", "commercial_use"),
        ("mtcnn", "download_mb = 1.9", "download_mb = -1.0", "download_mb"),
        ("mtcnn", "role = \"face_detector\"", "role = \"emotion\"", "decoder"),
        ("mtcnn", "part = \"rnet\"", "part = \"pnet\"", "file"),
        ("mtcnn", "name = \"rnet.onnx\"", "name = \"pnet.onnx\"", "file.name"),
        ("mtcnn", "name = \"rnet.onnx\"", "name = \"../rnet.onnx\"", "file.name"),
        ("mtcnn", "sha256 = \"b6d", "sha256 = \"B6d", "file.sha256"),
        ("mtcnn", "sha256 = \"b6d", "sha256 = \"", "file.sha256"),
        ("mtcnn", "package = \"facenet-pytorch\"", "package = \"--user\"", "file.from.package"),
        ("mtcnn", "version = \"2.6.0\"", "version = \"2.6.0 ; x\"", "file.from.version"),
        ("mtcnn", "sha256 = \"ecb8", "sha256 = \"ecb\\n", "file.from.sha256"),
        ("mtcnn", "member = \"facenet_pytorch", "member = \"../facenet_pytorch", "file.from.member"),
        ("mtcnn", "mean = 127.5", "mean = inf", "input.mean"),
        ("mtcnn", "scale = 0.0078125", "scale = 0.0", "input.scale"),
        ("mtcnn", "\n[input]", "\n[alignment]\nsize = 112\ntemplates = {}\n[input]", "alignment"),
        ("yunet-n-640", "https://", "file://", "file.from.url"),
        ("yunet-n-640", "width = 640", "", "input.width"),
        ("yunet-n-640", "width = 640", "width = 0", "input.width"),
        ("yunet-n-640", "width = 640", "width = 64000", "input.width"),
        ("yunet-n-640", "measured_on = \"", "measured_on = \" \" # ", "detection.measured_on"),
        ("dlib-resnet-v1", "size = 150", "size = 112", "alignment.size"),
        ("dlib-resnet-v1", "[[46.77,", "[[-46.77,", "alignment.templates"),
        ("dlib-resnet-v1", "[[46.77,", "[[nan,", "alignment.templates"),
        ("dlib-resnet-v1", "dimensions = 128", "dimensions = 0", "similarity.dimensions"),
        ("dlib-resnet-v1", "threshold = 0.6", "threshold = 54.0", "similarity.threshold"),
        ("dlib-resnet-v1", "min_margin = 0.05", "min_margin = nan", "similarity.min_margin"),
        ("dlib-resnet-v1", "impostor_sd = 0.161", "impostor_sd = 0.0", "similarity.impostor_sd"),
        ("dlib-resnet-v1", "slope = 24.5", "slope = -24.5", "similarity.slope"),
        ("dlib-resnet-v1", "measured_on = \"", "measured_on = \"\" # ", "similarity.measured_on"),
        ("opencv-fer-2022july", "\"disgust\"", "\"anger\"", "emotion.labels"),
        ("opencv-fer-2022july", "temperature = 1.0", "temperature = 0.0", "emotion.temperature"),
    ] {
        match error_with(name, old, new) {
            ManifestError::Field { manifest, field: got, .. } => {
                assert_eq!((manifest.as_str(), got.as_str()), (name, field), "{old} -> {new}");
            }
            other => panic!("{old} -> {new}: {other}"),
        }
    }
}

#[test]
fn unknown_missing_and_mistyped_fields_are_refused_with_their_line() {
    for (name, old, new, said) in [
        ("mtcnn", "license =", "licence =", "licence"),
        ("mtcnn", "score_threshold = 0.7", "score_threshold = 7.0", "0..=1"),
        ("mtcnn", "member =", "membre =", "membre"),
        ("mtcnn", "by = \"pip\"", "by = \"post\"", "post"),
        ("yunet-n-640", "measured_on =", "# ", "measured_on"),
        ("dlib-resnet-v1", "five_point =", "six_point =", "six_point"),
        ("opencv-fer-2022july", "\"disgust\"", "\"disgusted\"", "disgusted"),
        ("opencv-fer-2022july", "[emotion]", "[emotion", "line"),
    ] {
        let error = error_with(name, old, new);
        let text = error.to_string();
        assert!(matches!(error, ManifestError::Syntax { .. }), "{text}");
        assert!(text.contains(name) && text.contains(said) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn a_section_of_the_role_may_not_be_missing() {
    let text = text_of("yunet-n-640").unwrap();
    let (before, _) = text.split_once("[detection]").unwrap();
    let error = Manifest::parse("mine", before).unwrap_err().to_string();
    assert_eq!(error, "manifest mine: detection is needed for this role");
}

#[test]
fn a_path_is_accepted_for_a_name_unless_it_takes_one_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let path = path.to_str().unwrap();
    let text = text_of("yunet-n-640").unwrap();

    std::fs::write(path, text).unwrap();
    let error = Manifest::load(path).unwrap_err().to_string();
    assert!(error.contains("mine.toml: name \"yunet-n-640\" is a name of rostro's own"), "{error}");

    std::fs::write(path, text.replacen("yunet-n-640", "mine", 1)).unwrap();
    assert_eq!(Manifest::load(path).unwrap().name, "mine");

    let error = Manifest::load("/nowhere/mine.toml").unwrap_err().to_string();
    assert!(error.contains("/nowhere/mine.toml"), "{error}");
    let error = Manifest::load("yunet").unwrap_err().to_string();
    assert!(error.contains("no model is called \"yunet\"") && error.contains("yunet-n-640"), "{error}");
}

#[test]
fn the_logistic_of_dlib_is_what_its_manifest_says() {
    let similarity = Manifest::load("dlib-resnet-v1").unwrap().similarity.unwrap();
    let probability = |cosine: f32| 1.0 / (1.0 + (-similarity.slope * (cosine - similarity.midpoint)).exp());
    assert!((probability(0.72) - 0.95).abs() < 0.001);
    assert!(probability(0.532) < 0.16, "the most alike of 3050 pairs of strangers");
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = Manifest::parse("any", &text);
    }

    #[test]
    fn parsing_a_damaged_manifest_never_panics(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), put in ".{0,6}", cut in 0_usize..20,
    ) {
        let (name, text) = which.get(BUILT_IN);
        let mut chars: Vec<char> = text.chars().collect();
        let start = at.index(chars.len());
        let end = (start + cut).min(chars.len());
        chars.splice(start..end, put.chars());
        let _ = Manifest::parse(name, &chars.into_iter().collect::<String>());
    }
}
