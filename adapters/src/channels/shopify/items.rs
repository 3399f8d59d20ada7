//! Which SKU is which inventory item and variant of a shop.

use lockstep_actors::channels::Key;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ShopItem {
    sku: String,
    /// `gid://shopify/InventoryItem/1`, or the number alone.
    pub(super) inventory_item: String,
    /// `gid://shopify/ProductVariant/1`, or the number alone.
    pub(super) variant: String,
}

#[derive(Debug, Default)]
pub(super) struct Items(HashMap<Key, ShopItem>);

fn global(kind: &str, id: &str) -> String {
    if id.starts_with("gid://") {
        id.to_owned()
    } else {
        format!("gid://shopify/{kind}/{id}")
    }
}

impl Items {
    /// Reads the file; the error says where it is wrong.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let reader = csv::Reader::from_path(path);
        let mut reader = reader.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut items = HashMap::new();
        for row in reader.deserialize::<ShopItem>() {
            let row = row.map_err(|error| format!("{}: {error}", path.display()))?;
            let item = ShopItem {
                inventory_item: global("InventoryItem", &row.inventory_item),
                variant: global("ProductVariant", &row.variant),
                sku: row.sku.clone(),
            };
            if items.insert(Key(row.sku.as_str().into()), item).is_some() {
                return Err(format!(
                    "{}: the SKU {:?} stands there twice",
                    path.display(),
                    row.sku
                ));
            }
        }
        Ok(Self(items))
    }

    pub(super) fn get(&self, key: &Key) -> Option<&ShopItem> {
        self.0.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_a_sku_that_stands_twice_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("items.csv");
        std::fs::write(
            &path,
            "sku,inventory_item,variant\nA,1,gid://shopify/ProductVariant/9\n",
        )
        .unwrap();
        let items = Items::read(&path).unwrap();
        let item = items.get(&Key("A".into())).unwrap();
        assert_eq!(item.inventory_item, "gid://shopify/InventoryItem/1");
        assert_eq!(item.variant, "gid://shopify/ProductVariant/9");
        std::fs::write(&path, "sku,inventory_item,variant\nA,1,2\nA,3,4\n").unwrap();
        assert!(
            Items::read(&path)
                .unwrap_err()
                .contains("\"A\" stands there twice")
        );
    }
}
