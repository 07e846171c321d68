//! What this machine has for networks to run on, read from where the system says it: no library is loaded and
//! no program run.

use super::runtime;
use std::fs;
use std::path::{Path, PathBuf};

/// The processor, a graphics processor and the libraries for it. What is not found is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Machine {
    /// Model of the graphics processor, or of the Jetson.
    pub gpu: Option<String>,
    /// The kernel's driver.
    pub driver: Option<String>,
    /// Release of JetPack's Linux, on a Jetson.
    pub l4t: Option<String>,
    /// Version of libnvinfer.
    pub tensorrt: Option<String>,
    /// Version of libcudart.
    pub cuda: Option<String>,
    /// Version of libcudnn.
    pub cudnn: Option<String>,
    /// What the first processor calls itself: its model, or on ARM the numbers of its maker and part.
    pub processor: Option<String>,
}

impl Machine {
    /// Looks at this machine.
    pub fn look() -> Self {
        let mut folders = runtime::system_folders(std::env::var_os("LD_LIBRARY_PATH").as_ref());
        folders.extend(["/usr/local/cuda/lib64", "/usr/local/tensorrt/lib"].map(PathBuf::from));
        Self::look_in(Path::new("/"), &folders)
    }

    fn look_in(root: &Path, folders: &[PathBuf]) -> Self {
        let first_line = |path: &str| Some(read(&root.join(path))?.lines().next()?.trim().to_owned());
        let version = |library: &str| folders.iter().find_map(|folder| library_version(folder, library));
        let processors = read(&root.join("proc/cpuinfo")).unwrap_or_default();
        Self {
            gpu: graphics_processor(root),
            driver: first_line("proc/driver/nvidia/version").and_then(|line| driver_version(&line)),
            l4t: first_line("etc/nv_tegra_release").map(|line| line.trim_start_matches("# ").to_owned()),
            tensorrt: version("libnvinfer.so"),
            cuda: version("libcudart.so"),
            cudnn: version("libcudnn.so"),
            processor: processor(&processors),
        }
    }
}

/// Whether this machine has a graphics processor. [`Machine::look`] would look for its libraries as well.
pub fn has_gpu() -> bool {
    graphics_processor(Path::new("/")).is_some()
}

fn graphics_processor(root: &Path) -> Option<String> {
    jetson(root).or_else(|| graphics_card(root))
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The model of a Jetson out of the device tree; of another board nothing.
fn jetson(root: &Path) -> Option<String> {
    let model = read(&root.join("proc/device-tree/model"))?;
    let model = model.trim_end_matches('\0').trim();
    model.contains("NVIDIA").then(|| model.to_owned())
}

/// The first card that the driver knows.
fn graphics_card(root: &Path) -> Option<String> {
    let cards = fs::read_dir(root.join("proc/driver/nvidia/gpus")).ok()?;
    let mut cards: Vec<PathBuf> = cards.filter_map(|card| Some(card.ok()?.path())).collect();
    cards.sort();
    let text = read(&cards.first()?.join("information"))?;
    text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()))
}

/// The value of the first line `name : value` of `/proc/cpuinfo`.
fn first_value<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(found, value)| (found.trim() == name).then(|| value.trim()))
}

/// `model name` of x86; ARM has numbers.
fn processor(cpuinfo: &str) -> Option<String> {
    let of = |name| first_value(cpuinfo, name);
    let arm = || Some(format!("ARM {} {}", of("CPU implementer")?, of("CPU part")?));
    of("model name").map(str::to_owned).or_else(arm)
}

/// The vector instructions by which this processor's networks are laid out and chosen. On ARM there is one layout,
/// and eight-bit integers have not been measured.
pub fn vector_instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let known: [(&str, bool); 0] = [];
    known.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}

/// Whether eight-bit integers are quicker than floats on this processor: about twice as quick with AVX2 alone, more
/// with the instructions that came after it.
pub fn is_quick_with_bytes() -> bool {
    vector_instructions().contains(&"avx2")
}

/// The number in `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue ...`.
fn driver_version(line: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    line.split_whitespace().find(is_version).map(str::to_owned)
}

/// The longest version in a file name of this library: `libnvinfer.so.10.3.0` says more than the link
/// `libnvinfer.so.10`.
fn library_version(folder: &Path, library: &str) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let versions = names.filter_map(|name| Some(name.strip_prefix(library)?.strip_prefix('.')?.to_owned()));
    versions
        .filter(|version| version.split('.').all(|part| part.parse::<u32>().is_ok()))
        .max_by_key(|version| (version.split('.').count(), version.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_jetson_is_told_by_its_device_tree() {
        let root = tempfile::tempdir().unwrap();
        let libraries = root.path().join("usr/lib/aarch64-linux-gnu");
        write(root.path(), "proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0");
        write(root.path(), "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081\n");
        for name in ["libnvinfer.so.10", "libnvinfer.so.10.3.0", "libnvinfer.so", "libnvinfer_plugin.so.10.9.9"] {
            write(&libraries, name, "");
        }
        let machine = Machine::look_in(root.path(), &[libraries]);
        assert_eq!(machine.gpu.as_deref(), Some("NVIDIA Jetson AGX Orin Developer Kit"));
        assert_eq!(machine.l4t.as_deref(), Some("R36 (release), REVISION: 4.3, GCID: 38968081"));
        assert_eq!((machine.tensorrt.as_deref(), machine.cuda), (Some("10.3.0"), None));
    }

    #[test]
    fn a_card_is_told_by_its_driver_and_no_card_by_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Machine::look_in(root.path(), &[]), Machine::default());
        write(
            root.path(),
            "proc/driver/nvidia/gpus/0000:01:00.0/information",
            "Model: \t\t NVIDIA RTX A2000\nIRQ: 1\n",
        );
        let line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n";
        write(root.path(), "proc/driver/nvidia/version", line);
        // Some other board with a device tree.
        write(root.path(), "proc/device-tree/model", "Raspberry Pi 5\0");
        let machine = Machine::look_in(root.path(), &[]);
        assert_eq!(machine.gpu.as_deref(), Some("NVIDIA RTX A2000"));
        assert_eq!(machine.driver.as_deref(), Some("550.54.15"));
    }

    #[test]
    fn a_processor_is_told_by_the_kernel() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5\n"),
            Some("Intel(R) Core(TM) i5".into())
        );
        let arm = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n";
        assert_eq!(processor(arm), Some("ARM 0x41 0xd42".into()));
        assert_eq!(processor("nothing of the kind"), None);
    }
}
