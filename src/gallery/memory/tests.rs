use super::*;
use crate::testing::{look_at, mixed, person, tag};
use proptest::prelude::*;

fn gallery_of(count: usize) -> (MemoryGallery, Vec<PersonId>) {
    let mut gallery = MemoryGallery::new(tag(), 0);
    let ids = (0..count).map(|who| gallery.enrol(&format!("person {who}"), &person(who), 1.0).unwrap()).collect();
    (gallery, ids)
}

fn reference(look: &Embedding, quality: f32) -> Reference {
    Reference { look: look.clone(), quality, stamp: Stamp::default(), source: "made up".into() }
}

fn learn(gallery: &mut MemoryGallery, person: PersonId, look: &Embedding, quality: f32) -> Result<(), GalleryError> {
    gallery.commit(&Change::Learn { person, references: vec![reference(look, quality)], name: None, consent: None })
}

fn similarities(gallery: &MemoryGallery, probe: &Embedding) -> Vec<(PersonId, f32)> {
    gallery.search(probe, 9).unwrap().into_iter().map(|found| (found.person_id, found.similarity)).collect()
}

#[test]
fn the_best_reference_of_each_person_counts_and_the_best_person_comes_first() {
    let (mut gallery, ids) = gallery_of(2);
    learn(&mut gallery, ids[1], &person(5), 0.5).unwrap();
    let found = similarities(&gallery, &mixed(&[(0, 0.5), (1, 0.1), (5, 0.7)], 15));
    assert_eq!((found[0].0, found[1].0, found.len()), (ids[1], ids[0], 2));
    assert!((found[0].1 - 0.7).abs() < 1e-6 && (found[1].1 - 0.5).abs() < 1e-6);
    assert_eq!(gallery.search(&person(0), 1).unwrap().len(), 1);
    assert_eq!(gallery.references(ids[1]).iter().map(|kept| kept.quality).collect::<Vec<_>>(), [1.0, 0.5]);
}

#[test]
fn equals_come_in_the_order_of_their_ids() {
    let (gallery, mut ids) = gallery_of(4);
    ids.sort_unstable();
    let found = similarities(&gallery, &person(7));
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
}

#[test]
fn a_known_name_gets_another_reference() {
    let (mut gallery, ids) = gallery_of(1);
    assert_eq!(gallery.enrol("person 0", &person(3), 0.9).unwrap(), ids[0]);
    assert_eq!((gallery.len(), gallery.record(ids[0]).unwrap().references), (1, 2));
}

#[test]
fn forgetting_removes_every_reference_and_nothing_else() {
    let (mut gallery, ids) = gallery_of(3);
    learn(&mut gallery, ids[0], &person(4), 1.0).unwrap();
    assert_eq!(gallery.forget(ids[0]).unwrap(), 2);
    let found = similarities(&gallery, &person(2));
    assert_eq!(found[0], (ids[2], 1.0));
    assert_eq!(found[1], (ids[1], 0.0));
    assert_eq!((found.len(), gallery.name(ids[0]), gallery.person_named("person 0")), (2, None, None));
    assert_eq!(gallery.forget(ids[0]), Err(GalleryError::UnknownPerson(ids[0])));
    assert!(!gallery.enrol("person 0", &person(0), 1.0).is_ok_and(|again| ids.contains(&again)), "an id came back");
}

#[test]
fn names_change_and_go() {
    let (mut gallery, ids) = gallery_of(1);
    gallery.rename(ids[0], Some("Anna")).unwrap();
    assert_eq!((gallery.name(ids[0]), gallery.person_named("Anna")), (Some("Anna"), Some(ids[0])));
    gallery.rename(ids[0], None).unwrap();
    assert_eq!(gallery.name(ids[0]), None);
    assert!(gallery.rename(PersonId::from_counter(99), None).is_err());
}

#[test]
fn embeddings_of_another_network_or_length_are_refused() {
    let (mut gallery, ids) = gallery_of(1);
    let other = Embedding::new(vec![1.0; 16], ModelTag::new("other", "0123456789abcdef")).ok().unwrap();
    assert!(matches!(gallery.search(&other, 1), Err(GalleryError::Embedding(_))));
    assert!(gallery.enrol("new", &other, 1.0).is_err());
    let short = Embedding::new(vec![1.0; 3], tag()).ok().unwrap();
    assert_eq!(learn(&mut gallery, ids[0], &short, 1.0), Err(GalleryError::WrongLength { expected: 16, actual: 3 }));
    assert_eq!((gallery.len(), gallery.references(ids[0]).len()), (1, 1));
}

#[test]
fn an_empty_gallery_finds_nobody() {
    let gallery = MemoryGallery::new(tag(), 0);
    assert!(gallery.is_empty() && gallery.search(&person(0), 3).unwrap().is_empty());
}

proptest! {
    #[test]
    fn forgetting_in_any_order_leaves_the_others_findable(order in Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle()) {
        let (mut gallery, ids) = gallery_of(6);
        for (done, gone) in order.iter().enumerate() {
            gallery.forget(ids[*gone]).unwrap();
            for kept in &order[done + 1..] {
                let found = gallery.search(&look_at(*kept, 0.9), 1).unwrap()[0];
                prop_assert_eq!(found.person_id, ids[*kept]);
                prop_assert!((found.similarity - 0.9).abs() < 1e-5);
            }
        }
        prop_assert!(gallery.is_empty() && gallery.search(&person(0), 1).unwrap().is_empty());
    }
}
