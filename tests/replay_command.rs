//! `rostro replay` with the real networks on real people.

use crate::bad_input::{models_are_here, replay_into};
use crate::replay::folder;
use crate::support::shared;

#[test]
fn the_same_clip_twice_gives_the_same_bytes() {
    let test = "the_same_clip_twice_gives_the_same_bytes";
    let Some(clip) = shared("data/video/classroom.gif", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let folder = folder("replay_command_twice");
    let outs = [folder.join("first"), folder.join("second")];
    let [first, second] = outs.clone().map(|out| replay_into(&out, &[&clip], &[]));
    assert_eq!((first.code, second.code), (0, 0), "{}", first.stderr);
    assert_eq!(first.result, second.result);
    assert_eq!((first.frames("received"), first.frames("processed")), (45, 45));
    // Four people sit in the room.
    assert_eq!(first.result["faces"]["max_simultaneous"], 4);
    for name in ["people.jsonl", "people.mcap", "metadata.yaml"] {
        let [a, b] = outs.clone().map(|out| std::fs::read(out.join(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
}

#[test]
fn a_single_picture_names_who_is_in_the_gallery() {
    let test = "a_single_picture_names_who_is_in_the_gallery";
    let Some(pictures) = shared("data/identity/presidents", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let folder = folder("replay_command_still");
    let gallery = folder.join("gallery");
    std::fs::create_dir_all(gallery.join("Barack Obama")).unwrap();
    std::fs::copy(pictures.join("obama.jpg"), gallery.join("Barack Obama/1.jpg")).unwrap();
    let inputs = ["obama2.jpg", "biden.jpg"].map(|name| pictures.join(name));
    let inputs = inputs.each_ref().map(std::path::PathBuf::as_path);
    let out = folder.join("out");
    let ended = replay_into(&out, &inputs, &["--gallery", &gallery.display().to_string()]);
    assert_eq!((ended.code, ended.frames("processed")), (0, 2), "{}", ended.stderr);
    let text = std::fs::read_to_string(out.join("people.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names = |line: &serde_json::Value| -> Vec<String> {
        let people = line["people"].as_array().unwrap();
        people.iter().map(|person| person["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&lines[0]), ["Barack Obama"]);
    assert!(names(&lines[1]).iter().all(String::is_empty), "{:?}", names(&lines[1]));
}
