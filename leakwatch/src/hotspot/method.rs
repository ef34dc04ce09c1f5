//! Names of methods (`method.hpp`, `constMethod.hpp`, `constantPool.hpp`).

use super::{Unknown, class_name::java_name, vm_structs::VmStructs};
use crate::{model::sanitize, target_memory::TargetMemory};

/// Longest name that is read, bytes.
const MAX_NAME: u16 = 512;

/// Where a method keeps its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Methods {
    const_method: u64,
    constants: u64,
    name_index: u64,
    pool_length: u64,
    pool_holder: u64,
    pool_size: u64,
    klass_name: u64,
    symbol_length: u64,
    symbol_body: u64,
}

impl Methods {
    /// Finds out where that is.
    ///
    /// # Errors
    /// When the JVM does not say.
    pub(crate) fn new(structs: &VmStructs) -> Result<Self, Unknown> {
        Ok(Self {
            const_method: structs.offset(&[("Method", "_constMethod")])?,
            constants: structs.offset(&[("ConstMethod", "_constants")])?,
            name_index: structs.offset(&[("ConstMethod", "_name_index")])?,
            pool_length: structs.offset(&[("ConstantPool", "_length")])?,
            pool_holder: structs.offset(&[("ConstantPool", "_pool_holder")])?,
            pool_size: structs.size("ConstantPool")?,
            klass_name: structs.offset(&[("Klass", "_name")])?,
            symbol_length: structs.offset(&[("Symbol", "_length")])?,
            symbol_body: structs.offset(&[("Symbol", "_body"), ("Symbol", "_body[0]")])?,
        })
    }

    /// The part of a method that never changes: as long as it is this one, its name is the same.
    pub(crate) fn fingerprint(&self, method: u64, memory: &mut impl TargetMemory) -> Option<u64> {
        let address = method.checked_add(self.const_method)?;
        let is_method = method.is_multiple_of(8) && method != 0;
        memory.word(address).ok().filter(|_| is_method)
    }

    /// `java.io.FileInputStream.open0`, by the [`Self::fingerprint`].
    pub(crate) fn name(&self, const_method: u64, memory: &mut impl TargetMemory) -> Option<String> {
        let at = |address: u64, offset: u64| address.checked_add(offset);
        let pool = memory.word(at(const_method, self.constants)?).ok()?;
        let index = u16_at(at(const_method, self.name_index)?, memory)?;
        let mut length = [0; 4];
        memory.read(at(pool, self.pool_length)?, &mut length).ok()?;
        if u32::from(index) >= u32::from_le_bytes(length) {
            return None;
        }
        let slot = at(pool, self.pool_size + u64::from(index) * 8)?;
        // Bit 0 says whether the entry is resolved.
        let name = self.symbol(memory.word(slot).ok()? & !1, memory)?;
        let klass = memory.word(at(pool, self.pool_holder)?).ok()?;
        let class = self.symbol(memory.word(at(klass, self.klass_name)?).ok()?, memory)?;
        let class = java_name(&class)?;
        let is_name = !name
            .iter()
            .any(|byte| b".;[/ ".contains(byte) || byte.is_ascii_control());
        is_name.then(|| format!("{class}.{}", sanitize::text(&name)))
    }

    fn symbol(&self, symbol: u64, memory: &mut impl TargetMemory) -> Option<Vec<u8>> {
        let length = u16_at(symbol.checked_add(self.symbol_length)?, memory)?;
        let mut text = vec![0; length.min(MAX_NAME).into()];
        memory
            .read(symbol.checked_add(self.symbol_body)?, &mut text)
            .ok()?;
        (length > 0).then_some(text)
    }
}

fn u16_at(address: u64, memory: &mut impl TargetMemory) -> Option<u16> {
    let mut bytes = [0; 2];
    memory.read(address, &mut bytes).ok()?;
    Some(u16::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const METHODS: Methods = Methods {
        const_method: 8,
        constants: 8,
        name_index: 34,
        pool_length: 60,
        pool_holder: 24,
        pool_size: 72,
        klass_name: 24,
        symbol_length: 4,
        symbol_body: 6,
    };
    const METHOD: u64 = 0x1000;

    /// `shop.Orders.place`.
    fn memory() -> MadeUp {
        let mut memory = MadeUp::default();
        memory.put_words(METHOD, &[0, 0x2000]);
        memory.put_words(0x2000, &[0, 0x3000, 0, 0, 0]);
        memory.put(0x2022, &2_u16.to_le_bytes());
        memory.put_words(0x3000, &[0; 12]);
        memory.put(0x303c, &3_u32.to_le_bytes());
        memory.put_words(0x3018, &[0x4000]);
        memory.put_words(0x3000 + 72 + 16, &[0x5001]);
        memory.put_words(0x4018, &[0x6000]);
        for (symbol, text) in [(0x5000, "place"), (0x6000, "shop/Orders")] {
            memory.put(symbol, &[0; 4]);
            memory.put(
                symbol + 4,
                &u16::try_from(text.len()).expect("short").to_le_bytes(),
            );
            memory.put(symbol + 6, text.as_bytes());
        }
        memory
    }

    fn name(memory: &mut MadeUp) -> Option<String> {
        let fingerprint = METHODS.fingerprint(METHOD, memory)?;
        METHODS.name(fingerprint, memory)
    }

    #[test]
    fn a_method_is_named_with_its_class() {
        assert_eq!(name(&mut memory()).as_deref(), Some("shop.Orders.place"));
        assert_eq!(METHODS.fingerprint(METHOD + 4, &mut memory()), None);
    }

    #[test]
    fn what_is_no_method_has_no_name() {
        let mut memory = memory();
        memory.put(0x2022, &3_u16.to_le_bytes());
        assert_eq!(name(&mut memory), None, "an index beyond the pool");
        memory.put(0x2022, &2_u16.to_le_bytes());
        memory.put(0x5006, b"pl/ce");
        assert_eq!(name(&mut memory), None, "no name of a method");
    }

    #[test]
    fn any_byte_of_it_may_be_anything() {
        let whole = memory();
        for address in whole.addresses() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut memory = whole.clone();
                memory.put(address, &[byte]);
                let _ = name(&mut memory);
            }
        }
    }
}
