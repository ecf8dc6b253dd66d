package ovn

import (
	"context"
	"errors"
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// database is a connection to one of the ovsdb-servers, without a copy of it.
type database struct{ client.Client }

// anyRow is the least that libovsdb has to know of a table.
type anyRow struct {
	UUID string `ovsdb:"_uuid"`
}

// connect connects to the server at a socket; table is any of the schema's.
func connect(ctx context.Context, socket, schema, table string) (database, error) {
	known, err := model.NewClientDBModel(schema, map[string]model.Model{table: &anyRow{}})
	if err != nil {
		return database{}, err
	}
	c, err := client.NewOVSDBClient(known, client.WithEndpoint("unix:"+socket))
	if err == nil {
		err = c.Connect(ctx)
	}
	if err != nil {
		return database{}, fmt.Errorf("connect to %s: %w", schema, err)
	}
	return database{c}, nil
}

// errTimedOut is of a wait for something that did not come.
var errTimedOut = errors.New("timed out")

// transact commits all operations or none.
func (d database) transact(ctx context.Context, ops ...ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	results, err := d.Transact(ctx, ops...)
	if err != nil {
		return nil, err
	}
	for i, r := range results { // one more than operations if the commit itself failed
		if r.Error != "" {
			what := "commit"
			if i < len(ops) {
				what = ops[i].Op + " " + ops[i].Table
			}
			err := fmt.Errorf("ovsdb-server refused: %s: %s: %s", what, r.Error, r.Details)
			if r.Error == "timed out" {
				err = fmt.Errorf("%w: %w", errTimedOut, err)
			}
			return nil, err
		}
	}
	return results, nil
}

// Operations, in the short form that they have here.

func insert(table, name string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUIDName: name, Row: row}
}

func update(table string, where ovsdb.Condition, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: table, Where: []ovsdb.Condition{where}, Row: row}
}

// everyRow is a condition that holds: libovsdb leaves out an empty one, which the
// server needs.
var everyRow = []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionNotEqual, ref("00000000-0000-0000-0000-000000000000"))}

// add puts references into a column of sets.
func add(table string, where ovsdb.Condition, column string, refs ...string) ovsdb.Operation {
	return mutate(table, where, ovsdb.Mutation{Column: column, Mutator: ovsdb.MutateOperationInsert, Value: set(refs...)})
}

// take takes references out of it.
func take(table string, where ovsdb.Condition, column string, refs ...string) ovsdb.Operation {
	return mutate(table, where, ovsdb.Mutation{Column: column, Mutator: ovsdb.MutateOperationDelete, Value: set(refs...)})
}

// raise adds one to a number in the only row of a table.
func raise(table, column string) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: everyRow,
		Mutations: []ovsdb.Mutation{{Column: column, Mutator: ovsdb.MutateOperationAdd, Value: 1}}}
}

func mutate(table string, where ovsdb.Condition, m ovsdb.Mutation) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: []ovsdb.Condition{where}, Mutations: []ovsdb.Mutation{m}}
}

// number reads a number in the only row of a table.
func number(table, column string) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Where: everyRow, Columns: []string{column}}
}

// until waits at the server, for at most so many milliseconds, for a number in
// the only row of a table.
func until(table, column string, is int, patience int) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationWait, Table: table, Where: everyRow, Columns: []string{column},
		Until: string(ovsdb.WaitConditionEqual), Rows: []ovsdb.Row{{column: is}}, Timeout: &patience}
}

func byUUID(uuid string) ovsdb.Condition {
	return ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ref(uuid))
}

func by(column, value string) ovsdb.Condition {
	return ovsdb.NewCondition(column, ovsdb.ConditionEqual, value)
}

// ref is a reference to a row by its UUID, or by the name that it has in its
// transaction.
func ref(to string) ovsdb.UUID { return ovsdb.UUID{GoUUID: to} }

func set(refs ...string) ovsdb.OvsSet {
	all := ovsdb.OvsSet{}
	for _, to := range refs {
		all.GoSet = append(all.GoSet, ref(to))
	}
	return all
}

func pairs(from map[string]string) ovsdb.OvsMap {
	all := ovsdb.OvsMap{GoMap: map[any]any{}}
	for k, v := range from {
		all.GoMap[k] = v
	}
	return all
}
