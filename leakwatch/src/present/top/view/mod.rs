//! Draws the state: one widget a file, each a function of the state and a rectangle.

mod census;
mod details;
mod filter;
mod findings;
mod footer;
mod header;
mod health;
mod help;
mod holders;
mod lines;
mod sites;
mod sort_menu;
mod spark;
mod table;

use ratatui::{Frame, layout::Alignment, text::Line};

use super::{
    app::{App, Overlay, Tab},
    areas,
};

/// Draws everything; how many lines what is on top can be scrolled down.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App) -> usize {
    let Some(areas) = app.areas() else {
        let message = Line::from(too_small(frame.area().width));
        frame.render_widget(message.alignment(Alignment::Center), frame.area());
        return 0;
    };
    header::draw(frame, areas.header, app);
    let mut most = 0;
    match app.tab {
        Tab::Health => most = health::draw(frame, areas.body, app),
        Tab::Processes => {
            if let Some(area) = areas.table {
                table::draw(frame, area, app);
            }
            if let Some(area) = areas.details {
                most = details::draw(frame, area, app);
            }
        }
    }
    match &app.overlay {
        Overlay::Help(scroll) => most = help::draw(frame, areas.body, app, *scroll),
        Overlay::Sort(at) => sort_menu::draw(frame, areas.body, app, *at),
        Overlay::None | Overlay::Filter(_) => {}
    }
    match &app.overlay {
        Overlay::Filter(prompt) => filter::draw(frame, areas.footer, app, prompt),
        Overlay::None | Overlay::Sort(_) | Overlay::Help(_) => footer::draw(frame, areas.footer, app),
    }
    most
}

/// What is needed, in so many columns: whole numbers or nothing.
fn too_small(columns: u16) -> String {
    let size = format!("{}x{}", areas::SMALLEST.width, areas::SMALLEST.height);
    let mut messages = [format!("needs {size}"), size].into_iter();
    messages
        .find(|message| message.len() <= usize::from(columns))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
