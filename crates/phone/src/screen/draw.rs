//! Draws the model.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::model::{Model, Registration, Row, State};
use crate::report::{codec, word};

/// Draws everything.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(3),
        Constraint::Length(2),
    ]);
    let [top, middle, input, help] = rows.areas(frame.area());
    let [left, right] = Layout::horizontal([Constraint::Length(50), Constraint::Min(20)]).areas(middle);
    let [calls, pad] = Layout::vertical([Constraint::Min(4), Constraint::Length(6)]).areas(left);
    frame.render_widget(Paragraph::new(head(model)), top);
    frame.render_widget(Paragraph::new(call_lines(model)).block(titled(model, "Calls", "通话")), calls);
    frame.render_widget(
        Paragraph::new(pad_lines(model)).block(titled(model, "Keypad (Tab)", "拨号盘 (Tab)")),
        pad,
    );
    draw_ladder(model, frame, right);
    draw_input(model, frame, input);
    frame.render_widget(Paragraph::new(help_lines(model)).style(paint(Color::DarkGray)), help);
}

fn head(model: &Model) -> Line<'_> {
    let (text, color) = match &model.registration {
        Registration::None => (model.language.pick("no exchange", "无服务器").to_owned(), Color::DarkGray),
        Registration::Trying => {
            (model.language.pick("registering …", "正在注册 …").to_owned(), Color::Yellow)
        }
        Registration::Registered => (model.language.pick("registered", "已注册").to_owned(), Color::Green),
        Registration::Failed(why) => {
            (format!("{}: {why}", model.language.pick("not registered", "注册失败")), Color::Red)
        }
    };
    Line::from(vec![
        Span::styled(" offhook ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("{}  ", model.identity)),
        Span::styled(text, paint(color)),
    ])
}

fn call_lines(model: &Model) -> Vec<Line<'_>> {
    if model.calls.is_empty() {
        let words =
            model.language.pick("no call; type a number and press Enter", "无通话；输入号码后按 Enter");
        return vec![Line::styled(words, paint(Color::DarkGray))];
    }
    let lines = |(at, row): (usize, &'_ Row)| {
        let mark = if at == model.selected { "▶ " } else { "  " };
        let style =
            if at == model.selected { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
        [
            Line::styled(format!("{mark}{}", row.who), style),
            Line::styled(format!("    {}", state_words(model, row)), paint(state_color(row))),
        ]
    };
    model.calls.iter().enumerate().flat_map(lines).collect()
}

fn state_words(model: &Model, row: &Row) -> String {
    let pick =
        |english: &'static str, chinese: &'static str| model.language.pick(english, chinese).to_owned();
    let since = match row.state {
        State::Incoming => {
            return pick("calls you: Enter answers, Esc refuses", "来电：Enter 接听，Esc 拒接");
        }
        State::Calling => return pick("calling …", "呼叫中 …"),
        State::Ringing => return pick("ringing …", "振铃中 …"),
        State::Talking { since } => model.now.saturating_duration_since(since).as_secs(),
    };
    let mut text = format!("{:02}:{:02}", since / 60, since % 60);
    if let Some(media) = &row.quality {
        text += &format!("  {}  {} {:.1} %", codec(media), pick("loss", "丢包"), media.loss_percent);
        if let Some(mos) = media.mos {
            text += &format!("  MOS {mos:.1} ({})", model.language.pick(word(mos).0, word(mos).1));
        }
    }
    match (row.held_by_us, row.held_by_peer) {
        (true, _) => text + "  " + &pick("on hold", "保持中"),
        (false, true) => text + "  " + &pick("held by the other side", "被对方保持"),
        (false, false) => text,
    }
}

fn state_color(row: &Row) -> Color {
    match row.state {
        State::Incoming => Color::Yellow,
        State::Calling | State::Ringing => Color::Cyan,
        State::Talking { .. } => Color::Green,
    }
}

fn pad_lines(model: &Model) -> Vec<Line<'_>> {
    let key = |key: char| {
        let pressed = model.keypad && model.last_key == Some(key);
        let style = if pressed { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        Span::styled(format!(" {key} "), style)
    };
    let rows = ["123A", "456B", "789C", "*0#D"];
    let mut lines: Vec<Line<'_>> =
        rows.iter().map(|row| row.chars().map(key).collect::<Vec<_>>().into()).collect();
    if model.keypad
        && let Some(first) = lines.first_mut()
    {
        let words = model.language.pick("   keys go into the call", "   按键直接发送到通话");
        first.spans.push(Span::styled(words, paint(Color::Yellow)));
    }
    lines
}

fn draw_ladder(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let height = usize::from(area.height.saturating_sub(2));
    let end = model.ladder.len().saturating_sub(model.scrolled).max(height.min(model.ladder.len()));
    let lines: Vec<Line<'_>> = model
        .ladder
        .iter()
        .take(end)
        .skip(end.saturating_sub(height))
        .map(|line| Line::raw(line.as_str()))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(titled(model, "Messages", "信令")), area);
}

fn draw_input(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let input = Line::from(vec![
        Span::styled("> ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(model.input.as_str()),
        Span::styled("▏", paint(Color::DarkGray)),
        Span::styled(format!("  {}", model.notice), paint(Color::Yellow)),
    ]);
    frame.render_widget(
        Paragraph::new(input).block(titled(model, "Number, name or address", "号码、名字或地址")),
        area,
    );
}

fn help_lines(model: &Model) -> Vec<Line<'static>> {
    let (first, second) = model.language.pick(
        (
            " Enter call/answer   Esc hang up   Tab keypad   Ctrl-O hold   Ctrl-T transfer to the typed",
            " Ctrl-E text `1002 hello`   ↑↓ select   PgUp/PgDn messages   Ctrl-Q quit",
        ),
        (
            " Enter 呼叫/接听   Esc 挂断   Tab 拨号盘   Ctrl-O 保持   Ctrl-T 转接到所输入号码",
            " Ctrl-E 发短信 `1002 你好`   ↑↓ 选择   PgUp/PgDn 翻看信令   Ctrl-Q 退出",
        ),
    );
    vec![Line::raw(first), Line::raw(second)]
}

fn titled(model: &Model, english: &'static str, chinese: &'static str) -> Block<'static> {
    Block::bordered().title(format!(" {} ", model.language.pick(english, chinese)))
}

/// A colour, unless the user wants none (no-color.org).
fn paint(color: Color) -> Style {
    let none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if none { Style::new() } else { Style::new().fg(color) }
}

#[cfg(test)]
mod tests;
