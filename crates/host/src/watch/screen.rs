//! `watch` on a terminal: what is known by now, how long ticks took lately, and what was said last.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Sparkline};

/// As many as terminals are wide, and high.
const REMEMBERED: usize = 512;

pub(super) struct Screen {
    terminal: DefaultTerminal,
    /// Mean time of a tick between two looks, in microseconds, the latest first.
    took_us: VecDeque<u64>,
    /// The latest last.
    said: VecDeque<String>,
}

impl Screen {
    /// Takes the terminal, if it can be drawn on.
    pub(super) fn new() -> Option<Self> {
        let terminal = ratatui::try_init().ok()?;
        Some(Self { terminal, took_us: VecDeque::new(), said: VecDeque::new() })
    }

    pub(super) fn say(&mut self, line: String) {
        self.said.push_back(line);
        if self.said.len() > REMEMBERED {
            self.said.pop_front();
        }
    }

    pub(super) fn ticks(&mut self, mean_s: f64) {
        self.took_us.push_front((mean_s * 1e6) as u64);
        self.took_us.truncate(REMEMBERED);
    }

    pub(super) fn draw(&mut self, page: &str) -> Result<()> {
        let page: Vec<Line<'_>> = page.lines().map(Line::from).collect();
        let (took_us, said) = (&self.took_us, &self.said);
        let draw = |frame: &mut ratatui::Frame<'_>| {
            let known = u16::try_from(page.len()).unwrap_or(u16::MAX).min(frame.area().height * 2 / 3);
            let spark = if took_us.is_empty() { 0 } else { 2 };
            let [top, middle, below, keys] = Layout::vertical([
                Constraint::Length(spark),
                Constraint::Length(known),
                Constraint::Min(0),
                Constraint::Length(1),
            ])
            .areas(frame.area());
            let took: Vec<u64> = took_us.iter().take(usize::from(top.width)).rev().copied().collect();
            frame.render_widget(Sparkline::default().data(took).style(Style::new().fg(Color::Cyan)), top);
            frame.render_widget(Paragraph::new(page), middle);
            let room = usize::from(below.height);
            let last: Vec<Line<'_>> = said
                .iter()
                .skip(said.len().saturating_sub(room))
                .map(|line| Line::from(line.as_str()))
                .collect();
            frame.render_widget(Paragraph::new(last), below);
            frame.render_widget(Line::from("q quit"), keys);
        };
        self.terminal.draw(draw).context("cannot draw on this terminal")?;
        Ok(())
    }

    /// Whether somebody wants to leave.
    pub(super) fn is_left(&self) -> Result<bool> {
        while event::poll(Duration::ZERO).context("cannot read this terminal")? {
            let Event::Key(key) = event::read().context("cannot read this terminal")? else { continue };
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            match key.code {
                _ if key.kind == KeyEventKind::Release => {}
                KeyCode::Char('q') | KeyCode::Esc => return Ok(true),
                KeyCode::Char('c') if control => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
