//! The records that are written: of the size and the sort of content that kete stores.
//!
//! Nothing is made while the clock runs. Record number n is `pool[n % pool.len()]`, so that a
//! reader can also tell whether it got what was written.

/// How many different records there are.
const DISTINCT: usize = 2048;
/// Bytes of the header: names, identifiers, times.
const HEADER: usize = 200;
/// Bytes of the body: an event as JSON.
pub(crate) const BODY: usize = 600;

/// Bytes of one record.
pub(crate) const RECORD: usize = HEADER + BODY;

/// All records, ready to be written.
pub(crate) struct Events {
    pool: Vec<Vec<u8>>,
}

impl Events {
    /// Makes the pool; the same one in every process.
    pub(crate) fn new() -> Self {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let pool = (0..DISTINCT)
            .map(|number| record(number, &mut random))
            .collect();
        Self { pool }
    }

    /// The record of this number.
    pub(crate) fn get(&self, seq: u64) -> &[u8] {
        let index = seq % self.pool.len() as u64;
        self.pool.get(index as usize).map_or(&[], Vec::as_slice)
    }

    /// `count` records from number `first` on.
    pub(crate) fn batch(&self, first: u64, count: usize) -> Vec<&[u8]> {
        (first..).take(count).map(|seq| self.get(seq)).collect()
    }
}

/// The position of a source as it is stored with each batch: about 100 bytes.
pub(crate) fn state(end: u64) -> String {
    format!(
        r#"{{"position":{end:020},"file":"events.ndjson","inode":1234567,"seen":"{end:040x}"}}"#
    )
}

/// xorshift64: this is about content that differs, not about secrets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn record(number: usize, random: &mut Random) -> Vec<u8> {
    let mut text = format!(
        "realm=shop-{} type=LOGIN source=webhook id={:016x}{:016x} time={} client=web-{} ",
        number % 7,
        random.next(),
        random.next(),
        1_764_000_000_000_u64 + number as u64 * 137,
        random.next() % 40,
    );
    pad(&mut text, HEADER, random);
    text.push_str(&format!(
        r#"{{"id":"{:016x}{:016x}","type":"LOGIN","realmId":"{:016x}","userId":"{:016x}{:016x}","ipAddress":"10.{}.{}.{}","details":{{"auth_method":"openid-connect","redirect_uri":"https://shop.example/callback","username":"user-{}","code_id":""#,
        random.next(), random.next(), random.next(), random.next(), random.next(),
        random.next() % 256, random.next() % 256, random.next() % 256, random.next() % 100_000,
    ));
    pad(&mut text, HEADER + BODY - 3, random);
    text.push_str("\"}}");
    text.into_bytes()
}

fn pad(text: &mut String, length: usize, random: &mut Random) {
    while text.len() < length {
        text.push_str(&format!("{:016x}-", random.next()));
    }
    text.truncate(length);
}
