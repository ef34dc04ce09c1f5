use std::{fs::File, os::unix::fs::FileExt as _};

use super::*;

/// The memory of this test.
struct Own;

impl TargetMemory for Own {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        File::open("/proc/self/mem")?.read_exact_at(buffer, address)
    }
}

/// The tables of a made-up JVM, in the memory of this test.
struct Tables {
    symbols: HashMap<String, u64>,
    structs: Vec<[u64; 6]>,
    types: Vec<[u64; 5]>,
    constants: Vec<[u64; 2]>,
}

impl Tables {
    fn new() -> Self {
        let at = |text: &'static std::ffi::CStr| text.as_ptr() as u64;
        let mut tables = Self {
            symbols: HashMap::new(),
            structs: vec![
                [at(c"Klass"), at(c"_name"), 0, 0, 24, 0],
                [at(c"Universe"), at(c"_heap"), 0, 1, 0, 0x7000],
                [0; 6],
            ],
            types: vec![[at(c"Klass"), 0, 0, 0, 208], [0; 5]],
            constants: vec![[at(c"FreeTag"), 7], [0; 2]],
        };
        for (name, value) in [
            ("StructEntryArrayStride", 48),
            ("StructEntryTypeNameOffset", 0),
            ("StructEntryFieldNameOffset", 8),
            ("StructEntryIsStaticOffset", 24),
            ("StructEntryOffsetOffset", 32),
            ("StructEntryAddressOffset", 40),
            ("TypeEntryArrayStride", 40),
            ("TypeEntryTypeNameOffset", 0),
            ("TypeEntrySizeOffset", 32),
            ("IntConstantEntryArrayStride", 16),
            ("IntConstantEntryNameOffset", 0),
            ("IntConstantEntryValueOffset", 8),
        ] {
            tables.symbols.insert(name.to_owned(), value);
        }
        tables
    }

    fn read(&mut self) -> Result<VmStructs, Unknown> {
        for (name, table) in [
            ("Structs", self.structs.as_ptr() as u64),
            ("Types", self.types.as_ptr() as u64),
            ("IntConstants", self.constants.as_ptr() as u64),
        ] {
            self.symbols.entry(name.to_owned()).or_insert(table);
        }
        let mut memory = Blocks {
            memory: &mut Own,
            blocks: HashMap::new(),
        };
        VmStructs::from_symbols(&self.symbols, &mut memory)
    }
}

#[test]
fn fields_types_and_constants_by_name() {
    let structs = Tables::new().read().expect("whole tables");
    assert_eq!(
        structs.offset(&[("None", "x"), ("Klass", "_name")]).ok(),
        Some(24)
    );
    assert_eq!(structs.address(&[("Universe", "_heap")]).ok(), Some(0x7000));
    assert_eq!(structs.size("Klass").ok(), Some(208));
    assert_eq!(structs.constant(&["OldTag", "FreeTag"]).ok(), Some(7));
    assert!(structs.offset(&[("Universe", "_heap")]).is_err(), "it is static");
    let missing = structs.offset(&[("Klass", "_gone")]).expect_err("not there");
    assert_eq!(missing.to_string(), "it does not say where _gone is");
}

#[test]
fn each_symbol_is_needed_and_may_be_anything() {
    let names: Vec<String> = Tables::new().symbols.into_keys().collect();
    for name in names
        .iter()
        .map(String::as_str)
        .chain(["Structs", "Types", "IntConstants"])
    {
        for value in [0, 8, 1 << 20, u64::MAX - 7] {
            let mut tables = Tables::new();
            tables.symbols.insert(name.to_owned(), value);
            let _ = tables.read();
        }
        let mut tables = Tables::new();
        if tables.symbols.remove(name).is_some() {
            assert!(tables.read().is_err(), "{name}");
        }
    }
}

#[test]
fn tables_that_do_not_end_are_refused() {
    let mut tables = Tables::new();
    let endless = vec![tables.structs[0]; usize::try_from(MAX_ENTRIES).expect("small") + 1];
    tables.structs = endless;
    let error = tables.read().expect_err("it has no end");
    assert!(error.to_string().contains("does not end"), "{error}");
    // An entry that is as long as nothing would be read for ever.
    let mut tables = Tables::new();
    tables.symbols.insert("StructEntryArrayStride".to_owned(), 0);
    assert!(tables.read().is_err());
}

#[test]
fn a_name_that_leads_nowhere_is_an_error() {
    let mut tables = Tables::new();
    tables.structs[1][1] = 8;
    assert!(matches!(tables.read(), Err(Unknown::Unreadable(_))));
}

#[test]
fn more_symbols_than_any_jvm_has_are_not_read() {
    static VALUE: u64 = 7;
    let symbols = std::iter::repeat((c"gHotSpotVMMore".to_bytes(), &raw const VALUE as u64));
    assert!(matches!(
        VmStructs::read(symbols, &mut Own),
        Err(Unknown::Layout(_))
    ));
}
