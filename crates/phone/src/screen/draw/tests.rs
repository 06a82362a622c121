use super::*;
use crate::Language;
use crate::screen::keys::{Wish, wish};
use offhook_ua::{CallId, Event};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

fn picture(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(120, 24)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    terminal.backend().to_string()
}

fn press(model: &mut Model, code: KeyCode) -> Option<Wish> {
    wish(model, Some(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn incoming(call: u64) -> Event {
    Event::Incoming {
        call: CallId(call),
        call_id: "c".into(),
        from: "sip:bob@pbx".parse().unwrap(),
        display_name: Some("Bob\x1b[2J".into()),
        to: "sip:alice@pbx".parse().unwrap(),
    }
}

#[test]
fn a_call_that_comes_in_is_shown_and_enter_answers_it() {
    let mut model = Model::new("sip:alice@pbx", true, Language::English);
    assert!(picture(&model).contains("registering"));
    model.event(&incoming(7));
    let shown = picture(&model);
    assert!(shown.contains("Bob") && shown.contains("Enter answers, Esc refuses"), "{shown}");
    assert!(!shown.contains('\x1b'));
    assert_eq!(press(&mut model, KeyCode::Enter), Some(Wish::Answer(CallId(7))));
    model.event(&Event::Answered { call: CallId(7), codec: None });
    assert!(picture(&model).contains("00:00"));
    assert_eq!(press(&mut model, KeyCode::Esc), Some(Wish::End(CallId(7))));
}

#[test]
fn what_is_typed_is_dialled_and_the_keypad_presses_keys() {
    let mut model = Model::new("sip:alice@pbx", false, Language::English);
    for key in "*43".chars() {
        assert_eq!(press(&mut model, KeyCode::Char(key)), None);
    }
    assert!(picture(&model).contains("> *43"));
    assert_eq!(press(&mut model, KeyCode::Enter), Some(Wish::Call("*43".into())));
    model.calling(CallId(1), "*43");
    press(&mut model, KeyCode::Tab);
    assert_eq!(press(&mut model, KeyCode::Char('#')), Some(Wish::Press(CallId(1), '#')));
    assert!(picture(&model).contains("keys go into the call"));
}

#[test]
fn a_very_small_terminal_is_no_reason_to_break_down() {
    let mut model = Model::new("sip:alice@pbx", true, Language::Chinese);
    model.ladder_line("  0.000  phone ── INVITE *43 ─▶ exchange".into());
    for (width, height) in [(1, 1), (10, 3), (44, 8), (200, 60)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(&model, frame)).unwrap();
    }
}
