use super::*;

fn near(value: f32, expected: f32) -> bool {
    (value - expected).abs() < 0.02
}

#[test]
fn an_undisturbed_call_scores_4_4() {
    assert!(near(mos(Impairment::G711, 0.0, 0.0, 1.0), 4.41));
    assert!(near(rating(Impairment::G711, 0.0, 0.0, 1.0), 93.2));
    assert!(mos(Impairment::G711, 100.0, 0.0, 1.0) > 4.3);
}

#[test]
fn loss_delay_and_bursts_cost() {
    // G.107 (7-29) by hand: 95 · 5 / (5 + 4.3) = 51.1.
    assert!(near(rating(Impairment::G711_WITHOUT_CONCEALMENT, 0.0, 5.0, 1.0), 93.2 - 51.075));
    assert!(near(rating(Impairment::G711, 277.3, 0.0, 1.0), 93.2 - 6.655 - 11.0));
    let random = mos(Impairment::G711, 50.0, 5.0, 1.0);
    assert!(mos(Impairment::G711, 50.0, 5.0, 4.0) < random);
    assert!(mos(Impairment::G711_WITHOUT_CONCEALMENT, 50.0, 5.0, 1.0) < random);
    let mut last = 5.0;
    for loss in 0..100u8 {
        let score = mos(Impairment::G711, 50.0, f32::from(loss), 1.0);
        assert!(score <= last);
        last = score;
    }
    assert!(last < 1.6);
}

#[test]
fn nonsense_stays_on_the_scale() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1e30] {
        for score in [
            mos(Impairment::OPUS, value, 1.0, 1.0),
            mos(Impairment::OPUS, 1.0, value, 1.0),
            mos(Impairment::OPUS, 1.0, 1.0, value),
            mos(Impairment { ie: 0.0, bpl: 0.0 }, value, value, value),
        ] {
            assert!((1.0..=4.5).contains(&score), "{value}: {score}");
        }
    }
    assert!(near(mos(Impairment::G711, 1e6, 100.0, 10.0), 1.0));
}

#[test]
fn codecs_are_known_by_name() {
    assert_eq!(Impairment::of("Opus"), Impairment::OPUS);
    assert_eq!(Impairment::of("pcma"), Impairment::G711);
    assert_eq!(Impairment::of("g722"), Impairment::G722);
    assert_eq!(Impairment::of("L16"), Impairment::G711_WITHOUT_CONCEALMENT);
}
