package row

import rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

// Operations (RFC 7047 section 5.2). Rows are written as the columns that we
// set; the rest keep the schema's defaults.

// Names of rows within one transaction.
const (
	NewBridge    = "weft_bridge"
	NewPort      = "weft_port"
	NewInterface = "weft_interface"
)

// Insert adds a row that others of the transaction call name.
func Insert(table, name string, r rfc7047.Row) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationInsert, Table: table, UUIDName: name, Row: r}
}

// Update replaces columns of a row.
func Update(table, uuid string, r rfc7047.Row) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationUpdate, Table: table, Where: WithUUID(uuid), Row: r}
}

// Mutate changes columns of a row.
func Mutate(table, uuid string, mutations ...rfc7047.Mutation) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationMutate, Table: table, Where: WithUUID(uuid), Mutations: mutations}
}

// Delete deletes a row of a table without garbage collection.
func Delete(table, uuid string) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationDelete, Table: table, Where: WithUUID(uuid)}
}

// Select reads columns of the rows that meet all conditions.
func Select(table string, where []rfc7047.Condition, columns ...string) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationSelect, Table: table, Where: where, Columns: columns}
}

// Comment goes to the database's log, where it says that a change is ours.
func Comment(text string) rfc7047.Operation {
	text = "weft: " + text
	return rfc7047.Operation{Op: rfc7047.OperationComment, Comment: &text}
}

// WithUUID holds of one row.
func WithUUID(uuid string) []rfc7047.Condition {
	return []rfc7047.Condition{rfc7047.NewCondition("_uuid", rfc7047.ConditionEqual, rfc7047.UUID{GoUUID: uuid})}
}

// Named holds of the row with a name.
func Named(name string) rfc7047.Condition {
	return rfc7047.NewCondition("name", rfc7047.ConditionEqual, name)
}

// Tagged holds of rows that have all these pairs in external_ids.
func Tagged(pairs map[string]string) rfc7047.Condition {
	return rfc7047.NewCondition("external_ids", rfc7047.ConditionIncludes, StringMap(pairs))
}

// AddTo adds a row to a set of references.
func AddTo(column, uuid string) rfc7047.Mutation {
	return *rfc7047.NewMutation(column, rfc7047.MutateOperationInsert, UUIDSet(uuid))
}

// RemoveFrom is the inverse.
func RemoveFrom(column, uuid string) rfc7047.Mutation {
	return *rfc7047.NewMutation(column, rfc7047.MutateOperationDelete, UUIDSet(uuid))
}

// ReplaceKeys has, of these keys of external_ids, those set that are in ids, and
// leaves the rest, which may be somebody else's. Inserting alone would keep a
// key's old value.
func ReplaceKeys(keys []string, ids map[string]string) []rfc7047.Mutation {
	return []rfc7047.Mutation{
		*rfc7047.NewMutation("external_ids", rfc7047.MutateOperationDelete, StringSet(keys)),
		*rfc7047.NewMutation("external_ids", rfc7047.MutateOperationInsert, StringMap(ids)),
	}
}

// BumpNextCfg asks ovs-vswitchd to say, in cur_cfg, that it has caught up.
func BumpNextCfg(root string) []rfc7047.Operation {
	return []rfc7047.Operation{
		Mutate(RootTable, root, *rfc7047.NewMutation("next_cfg", rfc7047.MutateOperationAdd, 1)),
		Select(RootTable, WithUUID(root), "next_cfg"),
	}
}

// UUIDSet is a set of one reference.
func UUIDSet(uuid string) rfc7047.OvsSet {
	return rfc7047.OvsSet{GoSet: []any{rfc7047.UUID{GoUUID: uuid}}}
}

// NoUUIDs is the empty set of references.
func NoUUIDs() rfc7047.OvsSet { return rfc7047.OvsSet{GoSet: []any{}} }

// StringSet is a set of texts.
func StringSet(values []string) rfc7047.OvsSet {
	set := rfc7047.OvsSet{GoSet: []any{}}
	for _, v := range values {
		set.GoSet = append(set.GoSet, v)
	}
	return set
}

// StringMap is a map of texts.
func StringMap(pairs map[string]string) rfc7047.OvsMap {
	m := rfc7047.OvsMap{GoMap: map[any]any{}}
	for key, value := range pairs {
		m.GoMap[key] = value
	}
	return m
}
