//! From keys to wishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offhook_ua::CallId;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::model::{Model, State};

/// A key, or only a reason to draw again.
pub(crate) type Key = Option<KeyEvent>;

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Call(String),
    Answer(CallId),
    /// Hang up or refuse.
    End(CallId),
    /// Hold or resume.
    Hold(CallId),
    Transfer(CallId, String),
    Press(CallId, char),
    Text(String, String),
    Quit,
}

/// What a key means at this moment; changes what is typed and selected.
pub(crate) fn wish(model: &mut Model, key: Key) -> Option<Wish> {
    let key = key?;
    let present = model.present().map(|row| (row.call, row.state));
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return controlled(model, key.code, present.map(|(call, _)| call));
    }
    match key.code {
        KeyCode::Enter => enter(model, present),
        KeyCode::Esc if !model.input.is_empty() => {
            model.input.clear();
            None
        }
        KeyCode::Esc => present.map(|(call, _)| Wish::End(call)),
        KeyCode::Tab => {
            model.keypad = !model.keypad && present.is_some();
            None
        }
        KeyCode::Up => {
            model.selected = model.selected.saturating_sub(1);
            None
        }
        KeyCode::Down => {
            model.selected = (model.selected + 1).min(model.calls.len().saturating_sub(1));
            None
        }
        KeyCode::PageUp => {
            model.scrolled = (model.scrolled + PAGE).min(model.ladder.len());
            None
        }
        KeyCode::PageDown => {
            model.scrolled = model.scrolled.saturating_sub(PAGE);
            None
        }
        KeyCode::Backspace => {
            model.input.pop();
            None
        }
        KeyCode::Char(typed) => type_or_press(model, typed, present.map(|(call, _)| call)),
        _ => None,
    }
}

fn controlled(model: &mut Model, code: KeyCode, present: Option<CallId>) -> Option<Wish> {
    match code {
        KeyCode::Char('q' | 'c') => Some(Wish::Quit),
        KeyCode::Char('o') => present.map(Wish::Hold),
        KeyCode::Char('t') if !model.input.is_empty() => {
            present.map(|call| Wish::Transfer(call, std::mem::take(&mut model.input)))
        }
        KeyCode::Char('e') => {
            let typed = std::mem::take(&mut model.input);
            let (whom, text) = typed.split_once(' ')?;
            Some(Wish::Text(whom.to_owned(), text.to_owned()))
        }
        KeyCode::Char('u') => {
            model.input.clear();
            None
        }
        _ => None,
    }
}

fn enter(model: &mut Model, present: Option<(CallId, State)>) -> Option<Wish> {
    if !model.input.trim().is_empty() {
        return Some(Wish::Call(std::mem::take(&mut model.input).trim().to_owned()));
    }
    let ringing = model.calls.iter().find(|row| row.state == State::Incoming).map(|row| row.call);
    match present {
        Some((call, State::Incoming)) => Some(Wish::Answer(call)),
        _ => ringing.map(Wish::Answer),
    }
}

fn type_or_press(model: &mut Model, typed: char, present: Option<CallId>) -> Option<Wish> {
    if let (true, Some(call)) = (model.keypad, present) {
        let digit = typed.to_ascii_uppercase();
        let is_key = "0123456789*#ABCD".contains(digit);
        model.last_key = is_key.then_some(digit);
        return is_key.then_some(Wish::Press(call, digit));
    }
    if model.input.chars().count() < LONGEST_INPUT && !typed.is_control() {
        model.input.push(typed);
    }
    None
}

/// A thread that waits for keys, until it is dropped.
#[derive(Debug)]
pub(crate) struct Keyboard(Arc<AtomicBool>);

impl Keyboard {
    /// Sends keys, and `None` when the screen changed its size.
    pub(crate) fn listen(keys: mpsc::Sender<Key>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                // Short, since the terminal is given back meanwhile.
                let key = match event::poll(Duration::from_millis(100)) {
                    Ok(true) => event::read(),
                    Ok(false) => continue,
                    Err(_) => return,
                };
                let key = match key {
                    Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Some(key),
                    Ok(Event::Resize(..)) => None,
                    Ok(_) => continue,
                    Err(_) => return,
                };
                if keys.blocking_send(key).is_err() {
                    return;
                }
            }
        });
        Self(over)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const PAGE: usize = 10;
const LONGEST_INPUT: usize = 500;
