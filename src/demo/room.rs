//! The room of the demo, drawn: a brick wall with a window and a shelf of books, a column that hides
//! who walks behind it, and a counter in front.

use super::dice::Dice;
use super::layer::Layer;
use image::{GrayImage, Luma, Rgb, RgbImage, imageops};

/// Columns of a frame.
pub const WIDTH: u32 = 640;
/// Rows of a frame.
pub const HEIGHT: u32 = 480;
/// Left and right edge of the column, pixels.
pub const COLUMN: (i32, i32) = (272, 374);
/// Upper edge of the counter, pixels.
pub const COUNTER_TOP: i32 = 404;

/// Blur of what is far behind the people, pixels.
const DEPTH_BLUR: f32 = 1.1;

impl Dice {
    /// A surface of soft spots about `grain` pixels wide, -1..=1.
    fn clouds(&mut self, width: u32, height: u32, grain: u32) -> impl Fn(u32, u32) -> f32 + use<> {
        let (columns, rows) = (width / grain + 2, height / grain + 2);
        let knots: Vec<f32> = (0..columns * rows).map(|_| self.between(-1.0, 1.0)).collect();
        move |x, y| {
            let (left, top) = (x / grain, y / grain);
            let smooth = |rest: u32| {
                let u = rest as f32 / grain as f32;
                u * u * (3.0 - 2.0 * u)
            };
            let (u, v) = (smooth(x % grain), smooth(y % grain));
            let knot = |column: u32, row: u32| knots[(row * columns + column) as usize];
            let upper = knot(left, top) * (1.0 - u) + knot(left + 1, top) * u;
            let lower = knot(left, top + 1) * (1.0 - u) + knot(left + 1, top + 1) * u;
            upper * (1.0 - v) + lower * v
        }
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy)]
struct Area {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Area {
    const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    fn pixels(self) -> impl Iterator<Item = (u32, u32)> {
        let (right, bottom) = ((self.x + self.width).min(WIDTH), (self.y + self.height).min(HEIGHT));
        (self.y..bottom).flat_map(move |y| (self.x..right).map(move |x| (x, y)))
    }
}

/// The room behind everyone.
pub fn backdrop(seed: u64) -> RgbImage {
    let mut dice = Dice::new(seed);
    let mut room = RgbImage::new(WIDTH, HEIGHT);
    draw_bricks(&mut room, &mut dice);
    draw_window(&mut room, &mut dice, Area::new(52, 40, 150, 200));
    draw_shelf(&mut room, &mut dice, Area::new(430, 24, 186, 380));
    let mut room = imageops::fast_blur(&room, DEPTH_BLUR);
    shade(&mut room);
    room
}

fn scaled(colour: [f32; 3], by: f32) -> Rgb<u8> {
    Rgb(colour.map(|value| (value * by).round().clamp(0.0, 255.0) as u8))
}

fn draw_bricks(room: &mut RgbImage, dice: &mut Dice) {
    const BRICK: (u32, u32) = (46, 19);
    const JOINT: u32 = 3;
    let rows = HEIGHT / BRICK.1 + 1;
    let columns = WIDTH / BRICK.0 + 2;
    let tones: Vec<(f32, f32)> =
        (0..rows * columns).map(|_| (dice.between(0.8, 1.12), dice.between(-0.08, 0.08))).collect();
    let (stains, grain) = (dice.clouds(WIDTH, HEIGHT, 70), dice.clouds(WIDTH, HEIGHT, 3));
    for (x, y, pixel) in room.enumerate_pixels_mut() {
        let row = y / BRICK.1;
        let along = x + if row.is_multiple_of(2) { 0 } else { BRICK.0 / 2 };
        let is_joint = y % BRICK.1 < JOINT || along % BRICK.0 < JOINT;
        let texture = 1.0 + 0.08 * stains(x, y) + 0.07 * grain(x, y);
        *pixel = if is_joint {
            scaled([172.0, 163.0, 150.0], texture)
        } else {
            let (tone, red) = tones[(row * columns + along / BRICK.0) as usize];
            scaled([158.0 * (1.0 + red), 112.0, 92.0], tone * texture)
        };
    }
}

/// A window with two panes, a bright sky and trees far away.
fn draw_window(room: &mut RgbImage, dice: &mut Dice, window: Area) {
    const FRAME: u32 = 9;
    let leaves = dice.clouds(WIDTH, HEIGHT, 14);
    let twigs = dice.clouds(WIDTH, HEIGHT, 5);
    for (x, y) in window.pixels() {
        let (u, v) = (x - window.x, y - window.y);
        let is_edge = u < FRAME || v < FRAME || u + FRAME >= window.width || v + FRAME >= window.height;
        let is_bar = u.abs_diff(window.width / 2) < 4 || v.abs_diff(window.height * 2 / 5) < 3;
        let down = v as f32 / window.height as f32;
        let colour = if is_edge || is_bar {
            let groove = if u % FRAME == 2 || v % FRAME == 2 { 0.86 } else { 1.0 };
            scaled([226.0, 221.0, 210.0], groove)
        } else if down > 0.62 + 0.14 * leaves(x, y) + 0.05 * twigs(x, y) {
            scaled([104.0, 138.0, 86.0], 1.0 + 0.3 * twigs(x, y))
        } else {
            scaled([188.0 + 40.0 * down, 211.0 + 22.0 * down, 236.0], 1.0)
        };
        room.put_pixel(x, y, colour);
    }
    // The sill.
    for (x, y) in Area::new(window.x - 10, window.y + window.height, window.width + 20, 9).pixels() {
        room.put_pixel(x, y, scaled([214.0, 206.0, 192.0], 1.0 - 0.04 * (y - window.y - window.height) as f32));
    }
}

/// Boards with books of all colours and widths.
fn draw_shelf(room: &mut RgbImage, dice: &mut Dice, shelf: Area) {
    const BOARD: u32 = 8;
    const BETWEEN: u32 = 74;
    const SPINES: [[f32; 3]; 8] = [
        [142.0, 52.0, 44.0],
        [52.0, 82.0, 122.0],
        [196.0, 172.0, 118.0],
        [62.0, 96.0, 72.0],
        [102.0, 72.0, 108.0],
        [208.0, 198.0, 182.0],
        [56.0, 56.0, 64.0],
        [186.0, 118.0, 58.0],
    ];
    let veins = dice.clouds(WIDTH, HEIGHT, 6);
    let wood = |x: u32, y: u32| scaled([124.0, 86.0, 54.0], 1.0 + 0.12 * veins(x, (y * 5) % HEIGHT));
    for (x, y) in shelf.pixels() {
        let (u, v) = (x - shelf.x, y - shelf.y);
        let is_wood = u < BOARD || u + BOARD >= shelf.width || v % BETWEEN < BOARD;
        room.put_pixel(x, y, if is_wood { wood(x, y) } else { Rgb([44, 34, 28]) });
    }
    let mut top = shelf.y + BOARD;
    while top + BETWEEN - BOARD <= shelf.y + shelf.height {
        let mut x = shelf.x + BOARD;
        let end = shelf.x + shelf.width - BOARD;
        while x + 18 < end {
            let width = dice.between(7.0, 17.0) as u32;
            let gap = if dice.unit() < 0.12 { 12 } else { 0 };
            let height = dice.between(42.0, 62.0) as u32;
            let colour = SPINES[dice.below(SPINES.len())];
            let book = Area::new(x, top + BETWEEN - BOARD - height, width, height);
            draw_book(room, book, colour, dice.between(0.75, 1.1));
            x += width + gap;
        }
        top += BETWEEN;
    }
}

fn draw_book(room: &mut RgbImage, book: Area, colour: [f32; 3], tone: f32) {
    for (x, y) in book.pixels() {
        let across = (x - book.x) as f32 / book.width as f32;
        let rounded = 0.78 + 0.9 * across * (1.0 - across);
        let down = y - book.y;
        let is_band = (6..9).contains(&down) || (book.height - 10..book.height - 8).contains(&down);
        room.put_pixel(
            x,
            y,
            if is_band { scaled([214.0, 190.0, 132.0], tone) } else { scaled(colour, tone * rounded) },
        );
    }
}

/// Daylight from the window's side, and darker corners.
fn shade(room: &mut RgbImage) {
    for (x, y, pixel) in room.enumerate_pixels_mut() {
        let (u, v) = (x as f32 / WIDTH as f32, y as f32 / HEIGHT as f32);
        let (dx, dy) = (u - 0.5, v - 0.45);
        let light = 1.05 - 0.14 * u - 0.38 * (dx * dx + dy * dy);
        pixel.0 = pixel.0.map(|value| (f32::from(value) * light).round().clamp(0.0, 255.0) as u8);
    }
}

/// The column: round, plastered, lit from the left.
pub fn column(seed: u64) -> Layer {
    let mut dice = Dice::new(seed ^ 0xc01);
    let (width, height) = ((COLUMN.1 - COLUMN.0) as u32, COUNTER_TOP as u32 + 10);
    let (spots, grain) = (dice.clouds(width, height, 24), dice.clouds(width, height, 2));
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let across = (x as f32 + 0.5) / width as f32 * 2.0 - 1.0;
        let roundness = (1.0 - 0.92 * across * across).sqrt();
        let side = 0.86 - 0.2 * across;
        let ring = if (28..33).contains(&y) || (46..49).contains(&y) { 0.86 } else { 1.0 };
        let texture = 1.0 + 0.03 * spots(x, y) + 0.035 * grain(x, y);
        scaled([216.0, 211.0, 200.0], (0.42 + 0.58 * roundness) * side * ring * texture)
    });
    let opaque = GrayImage::from_fn(width, height, |x, _| Luma([if x == 0 || x + 1 == width { 150 } else { 255 }]));
    Layer::masked(&picture, &opaque)
}

/// The counter that everyone stands behind.
pub fn counter(seed: u64) -> Layer {
    const EDGE: u32 = 26;
    let mut dice = Dice::new(seed ^ 0xc02);
    let (width, height) = (WIDTH, HEIGHT - COUNTER_TOP as u32);
    let (long, fine) = (dice.clouds(width, 512, 9), dice.clouds(width, 512, 3));
    let picture = RgbImage::from_fn(width, height, |x, y| {
        // Veins run along the board: the surface is stretched sideways.
        let veins = 0.1 * long(x / 12, (y * 7) % 512) + 0.06 * fine(x / 3, (y * 3) % 512);
        let is_top = y < EDGE;
        let seam = if !is_top && x % 128 < 2 { 0.7 } else { 1.0 };
        let light = match y {
            0..2 => 1.25,
            _ if is_top => 1.0 - 0.004 * y as f32,
            _ if y < EDGE + 5 => 0.5,
            _ => 0.72,
        };
        scaled([156.0, 106.0, 64.0], light * seam * (1.0 + veins))
    });
    let opaque = GrayImage::from_fn(width, height, |_, y| Luma([if y == 0 { 140 } else { 255 }]));
    Layer::masked(&picture, &opaque)
}
