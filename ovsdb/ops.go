package ovsdb

import rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

// Operations as values (RFC 7047 section 5.2). Rows are written as the columns
// that we set; the rest keep the schema's defaults.

// Names of rows within one transaction.
const (
	newBridge    = "weft_bridge"
	newPort      = "weft_port"
	newInterface = "weft_interface"
)

func insert(table, name string, row rfc7047.Row) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationInsert, Table: table, UUIDName: name, Row: row}
}

func update(table, uuid string, row rfc7047.Row) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationUpdate, Table: table, Where: withUUID(uuid), Row: row}
}

func mutate(table, uuid string, mutations ...rfc7047.Mutation) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationMutate, Table: table, Where: withUUID(uuid), Mutations: mutations}
}

func withUUID(uuid string) []rfc7047.Condition {
	return []rfc7047.Condition{rfc7047.NewCondition("_uuid", rfc7047.ConditionEqual, rfc7047.UUID{GoUUID: uuid})}
}

func addTo(column, uuid string) rfc7047.Mutation {
	return *rfc7047.NewMutation(column, rfc7047.MutateOperationInsert, uuidSet(uuid))
}

func removeFrom(column, uuid string) rfc7047.Mutation {
	return *rfc7047.NewMutation(column, rfc7047.MutateOperationDelete, uuidSet(uuid))
}

// setKey sets one of the external_ids, removes another and leaves the rest,
// which may be somebody else's. Inserting alone would keep a key's old value.
func setKey(key, value, without string) []rfc7047.Mutation {
	return []rfc7047.Mutation{
		*rfc7047.NewMutation("external_ids", rfc7047.MutateOperationDelete, stringSet([]string{key, without})),
		*rfc7047.NewMutation("external_ids", rfc7047.MutateOperationInsert, stringMap(map[string]string{key: value})),
	}
}

// bumpNextCfg asks ovs-vswitchd to say, in cur_cfg, that it has caught up.
func bumpNextCfg(root string) []rfc7047.Operation {
	return []rfc7047.Operation{
		mutate(rootTable, root, *rfc7047.NewMutation("next_cfg", rfc7047.MutateOperationAdd, 1)),
		{Op: rfc7047.OperationSelect, Table: rootTable, Where: withUUID(root), Columns: []string{"next_cfg"}},
	}
}

func uuidSet(uuid string) rfc7047.OvsSet {
	return rfc7047.OvsSet{GoSet: []any{rfc7047.UUID{GoUUID: uuid}}}
}

func stringSet(values []string) rfc7047.OvsSet {
	set := rfc7047.OvsSet{GoSet: []any{}}
	for _, v := range values {
		set.GoSet = append(set.GoSet, v)
	}
	return set
}

func stringMap(pairs map[string]string) rfc7047.OvsMap {
	m := rfc7047.OvsMap{GoMap: map[any]any{}}
	for key, value := range pairs {
		m.GoMap[key] = value
	}
	return m
}
