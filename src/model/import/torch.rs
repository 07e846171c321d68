//! Reads torch's file format from before 1.6: five pickles, then the raw storages.
//!
//! A pickle is a program for a stack machine that may call any Python function. This reader runs
//! only the operations a dictionary of tensors is made of, and knows three names; anything else is
//! an error. Containers live in one table and are referred to by index, so that a hostile file can
//! neither nest nor multiply them.

use super::ImportError;
use std::collections::BTreeMap;

/// First pickle: the magic number `0x1950_a86a_20f9_469c_fc6c`; second: the protocol, 1001.
const HEADER: [u8; 21] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.', 0x80, 2, b'M', 0xe9, 3, b'.'];

/// A tensor, dense and row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// Extents, outermost first.
    pub(super) shape: Vec<usize>,
    /// The elements.
    pub(super) values: Vec<f32>,
}

/// Reads a `state_dict`: tensors by name.
pub(super) fn read_state_dict(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, ImportError> {
    let mut reader = Reader { bytes, at: 0 };
    let header = reader.take(HEADER.len(), "the file's header")?;
    if header != HEADER {
        return Err(unexpected(0, "a torch file of the format before 1.6", "other first bytes"));
    }
    check_system(&mut reader)?;
    let (machine, tensors) = read_program(&mut reader)?;
    let named = machine.entries(tensors, reader.at)?;
    let storages = read_storages(&mut reader)?;

    let mut dict = BTreeMap::new();
    for &(key, value) in named {
        if let (Value::Text(name), Value::Tensor(index)) = (key, value) {
            let view = machine.tensors.get(index).ok_or_else(|| missing(name))?;
            dict.insert(name.to_owned(), view.densify(name, &storages)?);
        }
    }
    Ok(dict)
}

/// Third pickle: facts about the writing machine, of which the byte order matters.
fn check_system(reader: &mut Reader<'_>) -> Result<(), ImportError> {
    let (machine, top) = read_program(reader)?;
    let little = machine.entries(top, reader.at)?.contains(&(LITTLE_ENDIAN, Value::Bool(true)));
    if little { Ok(()) } else { Err(unexpected(reader.at, "little-endian storages", "another byte order")) }
}

const LITTLE_ENDIAN: Value<'_> = Value::Text("little_endian");

/// Fifth pickle: the names of the storages, in the order in which they follow.
fn read_storages<'a>(reader: &mut Reader<'a>) -> Result<BTreeMap<&'a str, &'a [u8]>, ImportError> {
    let (machine, names) = read_program(reader)?;
    let mut storages = BTreeMap::new();
    for value in machine.items(names, reader.at)? {
        let Value::Text(name) = *value else {
            return Err(unexpected(reader.at, "the name of a storage", value.describe()));
        };
        let count = u64::from_le_bytes(reader.array("the length of a storage")?);
        let size = usize::try_from(count).ok().and_then(|count| count.checked_mul(4));
        let size = size.ok_or_else(|| reader.truncated("a storage"))?;
        storages.insert(name, reader.take(size, "a storage")?);
    }
    Ok(storages)
}

/// A window on a storage.
#[derive(Clone, Debug)]
struct View<'a> {
    storage: &'a str,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl View<'_> {
    /// Copies the elements out in row-major order; torch stores some of them permuted.
    fn densify(&self, name: &str, storages: &BTreeMap<&str, &[u8]>) -> Result<Tensor, ImportError> {
        let storage = *storages.get(self.storage).ok_or_else(|| missing(name))?;
        let storage: Vec<f32> = super::floats(storage).collect();
        let mismatch =
            || ImportError::Shape { name: name.to_owned(), expected: self.shape.clone(), found: vec![storage.len()] };
        let count = self.shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
        let count = count.filter(|&count| count <= storage.len()).ok_or_else(mismatch)?;
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0_usize; self.shape.len()];
        for _ in 0..count {
            let at = index.iter().zip(&self.strides).try_fold(self.offset, |sum, (&i, &stride)| {
                i.checked_mul(stride).and_then(|step| sum.checked_add(step))
            });
            let value = at.and_then(|at| storage.get(at).copied()).ok_or_else(mismatch)?;
            if !value.is_finite() {
                return Err(ImportError::NotFinite { name: name.to_owned() });
            }
            values.push(value);
            advance(&mut index, &self.shape);
        }
        Ok(Tensor { shape: self.shape.clone(), values })
    }
}

/// The next index in row-major order.
fn advance(index: &mut [usize], shape: &[usize]) {
    for (i, &extent) in index.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < extent {
            return;
        }
        *i = 0;
    }
}

/// What the stack machine computes with. Containers are indices into the machine's tables.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// A tuple or a list.
    Sequence(usize),
    Dict(usize),
    Function(Function),
    Storage(&'a str),
    Tensor(usize),
}

impl Value<'_> {
    fn describe(self) -> String {
        match self {
            Value::None => "None".to_owned(),
            Value::Bool(value) => format!("{value}"),
            Value::Int(value) => format!("{value}"),
            Value::Text(text) => format!("the text \"{}\"", text.escape_debug().take(40).collect::<String>()),
            Value::Sequence(_) => "a sequence".to_owned(),
            Value::Dict(_) => "a dictionary".to_owned(),
            Value::Function(function) => format!("{function:?}"),
            Value::Storage(_) => "a storage".to_owned(),
            Value::Tensor(_) => "a tensor".to_owned(),
        }
    }
}

/// The names a state dictionary refers to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    OrderedDict,
    RebuildTensor,
    FloatStorage,
}

#[derive(Debug, Default)]
struct Machine<'a> {
    stack: Vec<Value<'a>>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: BTreeMap<u8, Value<'a>>,
    sequences: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    tensors: Vec<View<'a>>,
}

/// Runs one pickle up to its STOP and returns the machine and what it left on top.
fn read_program<'a>(reader: &mut Reader<'a>) -> Result<(Machine<'a>, Value<'a>), ImportError> {
    let mut machine = Machine::default();
    loop {
        let at = reader.at;
        let opcode = reader.byte("a pickle")?;
        if opcode == b'.' {
            let top = machine.pop(at)?;
            return Ok((machine, top));
        }
        machine.step(opcode, at, reader)?;
    }
}

impl<'a> Machine<'a> {
    /// One operation; opcodes are those of pickle protocol 2.
    fn step(&mut self, opcode: u8, at: usize, reader: &mut Reader<'a>) -> Result<(), ImportError> {
        match opcode {
            0x80 => match reader.byte("a pickle's protocol")? {
                2 => {}
                other => return Err(unexpected(at, "pickle protocol 2", format!("protocol {other}"))),
            },
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => self.stack.push(Value::Int(reader.byte("a number")?.into())),
            b'M' => self.stack.push(Value::Int(u16::from_le_bytes(reader.array("a number")?).into())),
            b'J' => self.stack.push(Value::Int(i32::from_le_bytes(reader.array("a number")?).into())),
            b'X' => self.push_text(reader)?,
            b'c' => self.push_function(at, reader)?,
            b'q' => {
                let slot = reader.byte("a memo slot")?;
                let top = self.top(at)?;
                self.memo.insert(slot, top);
            }
            b'h' => {
                let slot = reader.byte("a memo slot")?;
                let value =
                    *self.memo.get(&slot).ok_or_else(|| unexpected(at, "a filled memo slot", "an empty one"))?;
                self.stack.push(value);
            }
            b'(' => self.marks.push(self.stack.len()),
            b')' | b']' => self.push_sequence(Vec::new()),
            b't' => {
                let items = self.pop_to_mark(at)?;
                self.push_sequence(items);
            }
            0x85 => {
                let item = self.pop(at)?;
                self.push_sequence(vec![item]);
            }
            0x86 => {
                let (second, first) = (self.pop(at)?, self.pop(at)?);
                self.push_sequence(vec![first, second]);
            }
            b'e' => self.append(at)?,
            b'}' => self.push_dict(),
            b's' => {
                let (value, key) = (self.pop(at)?, self.pop(at)?);
                self.dict_on_top(at)?.push((key, value));
            }
            b'u' => self.set_items(at)?,
            // An object's attributes: torch keeps the versions of its modules there.
            b'b' => {
                self.pop(at)?;
            }
            b'R' => self.call(at)?,
            b'Q' => self.open_storage(at)?,
            other => return Err(unexpected(at, "an operation of a state dictionary", format!("opcode {other:#04x}"))),
        }
        Ok(())
    }

    fn push_text(&mut self, reader: &mut Reader<'a>) -> Result<(), ImportError> {
        let size = u32::from_le_bytes(reader.array("the length of a text")?) as usize;
        let at = reader.at;
        let text = std::str::from_utf8(reader.take(size, "a text")?);
        let text = text.map_err(|error| unexpected(at, "UTF-8", error.to_string()))?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn push_function(&mut self, at: usize, reader: &mut Reader<'a>) -> Result<(), ImportError> {
        let function = match (reader.line()?, reader.line()?) {
            (b"collections", b"OrderedDict") => Function::OrderedDict,
            (b"torch._utils", b"_rebuild_tensor_v2") => Function::RebuildTensor,
            (b"torch", b"FloatStorage") => Function::FloatStorage,
            (module, name) => {
                let found = format!("{}.{}", module.escape_ascii(), name.escape_ascii());
                return Err(unexpected(at, "OrderedDict, _rebuild_tensor_v2 or FloatStorage", found));
            }
        };
        self.stack.push(Value::Function(function));
        Ok(())
    }

    fn push_sequence(&mut self, items: Vec<Value<'a>>) {
        self.sequences.push(items);
        self.stack.push(Value::Sequence(self.sequences.len() - 1));
    }

    fn push_dict(&mut self) {
        self.dicts.push(Vec::new());
        self.stack.push(Value::Dict(self.dicts.len() - 1));
    }

    fn append(&mut self, at: usize) -> Result<(), ImportError> {
        let items = self.pop_to_mark(at)?;
        let Value::Sequence(index) = self.top(at)? else {
            return Err(unexpected(at, "a list to append to", self.top(at)?.describe()));
        };
        self.sequences[index].extend(items);
        Ok(())
    }

    fn set_items(&mut self, at: usize) -> Result<(), ImportError> {
        let items = self.pop_to_mark(at)?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(unexpected(at, "keys with values", "a key without one"));
        }
        self.dict_on_top(at)?.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn call(&mut self, at: usize) -> Result<(), ImportError> {
        let arguments = self.pop(at)?;
        let function = self.pop(at)?;
        match function {
            Value::Function(Function::OrderedDict) if self.items(arguments, at)?.is_empty() => self.push_dict(),
            Value::Function(Function::RebuildTensor) => {
                let view = self.view(arguments, at)?;
                self.tensors.push(view);
                self.stack.push(Value::Tensor(self.tensors.len() - 1));
            }
            other => return Err(unexpected(at, "a call of OrderedDict or _rebuild_tensor_v2", other.describe())),
        }
        Ok(())
    }

    /// Arguments of `_rebuild_tensor_v2`: storage, offset, size, strides, two that do not matter.
    fn view(&self, arguments: Value<'a>, at: usize) -> Result<View<'a>, ImportError> {
        let [Value::Storage(storage), Value::Int(offset), shape, strides, ..] = *self.items(arguments, at)? else {
            return Err(unexpected(at, "storage, offset, size and strides", "other arguments"));
        };
        let shape = self.extents(shape, at)?;
        let strides = self.extents(strides, at)?;
        match usize::try_from(offset) {
            Ok(offset) if shape.len() == strides.len() => Ok(View { storage, offset, shape, strides }),
            _ => Err(unexpected(at, "an offset and as many strides as extents", "other numbers")),
        }
    }

    fn extents(&self, value: Value<'a>, at: usize) -> Result<Vec<usize>, ImportError> {
        let extent = |value: &Value<'a>| match *value {
            Value::Int(number) => usize::try_from(number).ok(),
            _ => None,
        };
        let items = self.items(value, at)?.iter().map(extent).collect::<Option<Vec<_>>>();
        items.ok_or_else(|| unexpected(at, "extents or strides", "something else"))
    }

    /// Persistent id of a storage: ("storage", type, key, device, count, None).
    fn open_storage(&mut self, at: usize) -> Result<(), ImportError> {
        let id = self.pop(at)?;
        let [Value::Text("storage"), Value::Function(Function::FloatStorage), Value::Text(key), ..] =
            *self.items(id, at)?
        else {
            return Err(unexpected(at, "a storage of 32-bit floats", "another persistent object"));
        };
        self.stack.push(Value::Storage(key));
        Ok(())
    }

    fn top(&self, at: usize) -> Result<Value<'a>, ImportError> {
        self.stack.last().copied().ok_or_else(|| unexpected(at, "a value", "an empty stack"))
    }

    fn pop(&mut self, at: usize) -> Result<Value<'a>, ImportError> {
        self.stack.pop().ok_or_else(|| unexpected(at, "a value", "an empty stack"))
    }

    fn pop_to_mark(&mut self, at: usize) -> Result<Vec<Value<'a>>, ImportError> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => Err(unexpected(at, "a mark below the values", "none")),
        }
    }

    fn dict_on_top(&mut self, at: usize) -> Result<&mut Vec<(Value<'a>, Value<'a>)>, ImportError> {
        match self.top(at)? {
            Value::Dict(index) => Ok(&mut self.dicts[index]),
            other => Err(unexpected(at, "a dictionary", other.describe())),
        }
    }

    fn items(&self, value: Value<'a>, at: usize) -> Result<&[Value<'a>], ImportError> {
        match value {
            Value::Sequence(index) => Ok(&self.sequences[index]),
            other => Err(unexpected(at, "a sequence", other.describe())),
        }
    }

    fn entries(&self, value: Value<'a>, at: usize) -> Result<&[(Value<'a>, Value<'a>)], ImportError> {
        match value {
            Value::Dict(index) => Ok(&self.dicts[index]),
            other => Err(unexpected(at, "a dictionary", other.describe())),
        }
    }
}

fn unexpected(at: usize, expected: &'static str, found: impl Into<String>) -> ImportError {
    ImportError::Unexpected { at, expected, found: found.into() }
}

fn missing(name: &str) -> ImportError {
    ImportError::MissingTensor { name: name.to_owned() }
}

#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], ImportError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or_else(|| self.truncated(what))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ImportError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, ImportError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Bytes up to the next line feed, which is skipped.
    fn line(&mut self) -> Result<&'a [u8], ImportError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.truncated("a name"))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    fn truncated(&self, what: &'static str) -> ImportError {
        ImportError::Truncated { len: self.bytes.len(), what }
    }
}

/// Writes files of the format, for tests.
#[cfg(test)]
pub(super) mod sample {
    use super::HEADER;

    /// One tensor: name, extents, strides and the storage behind it.
    pub(crate) struct Stored {
        pub(crate) name: String,
        pub(crate) shape: Vec<u16>,
        pub(crate) strides: Vec<u16>,
        pub(crate) storage: Vec<f32>,
    }

    /// A row-major tensor that counts up.
    pub(crate) fn counting(name: &str, shape: &[u16]) -> Stored {
        let size: usize = shape.iter().map(|&extent| usize::from(extent)).product();
        let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        let storage = (0..size).map(|i| (i % 251) as f32 / 251.0 - 0.5).collect();
        Stored { name: name.to_owned(), shape: shape.to_vec(), strides, storage }
    }

    /// A whole file.
    pub(crate) fn file(tensors: &[Stored]) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        out.extend(b"\x80\x02}q\x00(");
        text(&mut out, "little_endian");
        out.extend(b"\x88u.");
        out.extend(b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(");
        for (index, tensor) in tensors.iter().enumerate() {
            text(&mut out, &tensor.name);
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut out, "storage");
            out.extend(b"ctorch\nFloatStorage\n");
            text(&mut out, &format!("{index}"));
            text(&mut out, "cpu");
            out.extend(b"J");
            out.extend((tensor.storage.len() as i32).to_le_bytes());
            out.extend(b"NtQK\x00");
            numbers(&mut out, &tensor.shape);
            numbers(&mut out, &tensor.strides);
            out.extend(b"\x89h\x00)RtR");
        }
        out.extend(b"u}");
        text(&mut out, "_metadata");
        out.extend(b"h\x00)Rsb.\x80\x02](");
        for index in 0..tensors.len() {
            text(&mut out, &format!("{index}"));
        }
        out.extend(b"e.");
        for tensor in tensors {
            out.extend((tensor.storage.len() as u64).to_le_bytes());
            out.extend(tensor.storage.iter().flat_map(|v| v.to_le_bytes()));
        }
        out
    }

    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }

    fn numbers(out: &mut Vec<u8>, numbers: &[u16]) {
        out.push(b'(');
        for number in numbers {
            out.push(b'M');
            out.extend(number.to_le_bytes());
        }
        out.push(b't');
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{Stored, counting, file};
    use super::*;
    use proptest::prelude::*;

    fn permuted() -> Stored {
        // A 2×3 matrix stored column by column.
        let storage = vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        Stored { name: "turned".to_owned(), shape: vec![2, 3], strides: vec![1, 2], storage }
    }

    #[test]
    fn strides_are_honoured() {
        let dict = read_state_dict(&file(&[counting("plain", &[2, 2]), permuted()])).unwrap();
        assert_eq!(dict["turned"], Tensor { shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] });
        assert_eq!(dict["plain"].values[..2], [-0.5, 1.0 / 251.0 - 0.5]);
        assert_eq!(dict.len(), 2, "the _metadata attribute is not a tensor");
    }

    #[test]
    fn a_view_past_its_storage_is_refused() {
        let mut tensor = permuted();
        tensor.strides = vec![1, 3];
        assert!(matches!(read_state_dict(&file(&[tensor])), Err(ImportError::Shape { .. })));
        let mut tensor = permuted();
        tensor.shape = vec![u16::MAX; 8];
        tensor.strides = vec![0; 8];
        assert!(matches!(read_state_dict(&file(&[tensor])), Err(ImportError::Shape { .. })));
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let mut tensor = permuted();
        tensor.storage[3] = f32::NAN;
        assert_eq!(read_state_dict(&file(&[tensor])), Err(ImportError::NotFinite { name: "turned".to_owned() }));
    }

    #[test]
    fn no_other_function_is_called() {
        let mut bytes = HEADER.to_vec();
        bytes.extend(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.");
        let error = read_state_dict(&bytes).unwrap_err().to_string();
        assert!(error.contains("os.system"), "{error}");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = file(&[counting("a", &[3, 2]), permuted()]);
        for len in 0..bytes.len() {
            assert!(read_state_dict(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_programs_do_not_panic(program in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = HEADER.to_vec();
            bytes.extend(program);
            prop_assert!(read_state_dict(&bytes).is_err());
        }

        #[test]
        fn programs_of_known_operations_do_not_panic(
            program in prop::collection::vec(prop::sample::select(&b"(()]}}tteesubRRQQNK\x01h\x00h\x01q\x00q\x01\x85\x86\x88."[..]), 0..300),
        ) {
            let mut bytes = file(&[counting("a", &[2])]);
            bytes.truncate(HEADER.len() + 7);
            bytes.extend(program);
            let _ = read_state_dict(&bytes);
        }

        #[test]
        fn flipped_bits_do_not_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4)) {
            let mut bytes = file(&[counting("a", &[3, 2]), permuted()]);
            for (at, bit) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let _ = read_state_dict(&bytes);
        }
    }
}
