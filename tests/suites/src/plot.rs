//! Samples over time: as comma-separated values, and drawn by hand as an SVG.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 70.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What a panel of the drawing shows.
type Value = fn(&Moment) -> f64;

/// What was seen at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Seconds since the beginning.
    pub second: u64,
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Bytes of the queue on disk.
    pub stored: u64,
    /// Events that wait.
    pub waiting: u64,
}

/// Writes `name.csv` and `name.svg` into a directory.
///
/// # Errors
///
/// They cannot be written.
pub fn write_plot(directory: &Path, name: &str, moments: &[Moment]) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut table = "second,resident bytes,bytes on disk,events waiting\n".to_owned();
    for moment in moments {
        let Moment {
            second,
            resident,
            stored,
            waiting,
        } = moment;
        writeln!(table, "{second},{resident},{stored},{waiting}")?;
    }
    std::fs::write(directory.join(format!("{name}.csv")), table)?;
    std::fs::write(directory.join(format!("{name}.svg")), drawing(moments)?)?;
    Ok(())
}

/// The median of the second and of the fourth quarter; the first one is for warming up.
#[must_use]
pub fn quarters(moments: &[Moment], of: impl Fn(&Moment) -> u64) -> (u64, u64) {
    let quarter = moments.len() / 4;
    let median = |part: &[Moment]| {
        let mut values: Vec<u64> = part.iter().map(&of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    (
        median(&moments[quarter..2 * quarter]),
        median(&moments[3 * quarter..]),
    )
}

fn drawing(moments: &[Moment]) -> Result<String> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" \
         font-family=\"sans-serif\" font-size=\"12\"><rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n",
        w = WIDTH + 2.0 * MARGIN,
        h = 3.0 * (HEIGHT + MARGIN) + MARGIN,
    );
    let panels: [(&str, Value); 3] = [
        ("resident memory of kete, MiB", |moment| {
            moment.resident as f64 / MIB
        }),
        ("queue on disk, MiB", |moment| moment.stored as f64 / MIB),
        ("events waiting", |moment| moment.waiting as f64),
    ];
    for (number, (title, value)) in panels.into_iter().enumerate() {
        let top = MARGIN + number as f64 * (HEIGHT + MARGIN);
        panel(&mut svg, top, title, moments, value)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn panel(svg: &mut String, top: f64, title: &str, moments: &[Moment], value: Value) -> Result<()> {
    let most = moments.iter().map(value).fold(1.0, f64::max);
    let end = moments.last().map_or(1, |last| last.second.max(1));
    let (bottom, right) = (top + HEIGHT, MARGIN + WIDTH);
    writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\">{title}</text>",
        top - 10.0
    )?;
    writeln!(
        svg,
        "<path d=\"M{MARGIN} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>"
    )?;
    for (text, y) in [(most, top), (most / 2.0, top + HEIGHT / 2.0), (0.0, bottom)] {
        let x = MARGIN - 6.0;
        writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"end\">{text:.0}</text>",
            y + 4.0
        )?;
    }
    for part in 0..=4_u32 {
        let (x, y) = (MARGIN + WIDTH * f64::from(part) / 4.0, bottom + 16.0);
        let second = end * u64::from(part) / 4;
        writeln!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{second} s</text>"
        )?;
    }
    let mut points = String::new();
    for moment in moments {
        let x = MARGIN + WIDTH * moment.second as f64 / end as f64;
        let y = bottom - HEIGHT * value(moment) / most;
        write!(points, "{x:.1},{y:.1} ")?;
    }
    writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"#1f5fa8\"/>"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growing() -> Vec<Moment> {
        let moment = |second| Moment {
            second,
            resident: second * 100,
            stored: 7,
            waiting: 0,
        };
        (0..100).map(moment).collect()
    }

    #[test]
    fn quarters_tell_growth_from_a_flat_line() {
        let (early, late) = quarters(&growing(), |moment| moment.resident);
        assert_eq!((early, late), (3_700, 8_700));
        assert_eq!(quarters(&growing(), |moment| moment.stored), (7, 7));
    }

    #[test]
    fn the_drawing_has_a_point_for_each_moment() -> Result<()> {
        let svg = drawing(&growing())?;
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert_eq!(
            svg.matches(',').count(),
            300 + 2,
            "a comma for each point, two in titles"
        );
        Ok(())
    }
}
