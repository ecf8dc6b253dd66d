package openflow

import (
	"encoding/binary"
	"fmt"
)

// RefusedError says which flow of a bundle was refused, and why.
type RefusedError struct {
	Flow   string // canonical text, or what ovs-ofctl or the switch printed of it
	Reason string // in the words of ovs-ofctl or the switch: OFPBMC_BAD_PREREQ
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("switch refused flow %q: %s", e.Flow, e.Reason)
}

// UnknownError says that a flow has no encoding here: the switch was not asked.
type UnknownError struct {
	Flow string // canonical text
	Term string // of its match or actions: badness=1
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("flow %q: %q is not known to the OpenFlow encoder of weft-agent; ovs-ofctl may know it", e.Flow, e.Term)
}

// errorCode is an error message of the switch: type and code, and for errors of
// experimenters, whose.
type errorCode struct {
	experimenter uint32
	kind, code   uint16
}

// errorOf reads an error message. A body that is too short is an unknown error.
func errorOf(m message) errorCode {
	var e errorCode
	if len(m.body) >= 4 {
		e.kind, e.code = binary.BigEndian.Uint16(m.body), binary.BigEndian.Uint16(m.body[2:])
	}
	if e.kind == errorOfExperimenter && len(m.body) >= 8 {
		e.experimenter = binary.BigEndian.Uint32(m.body[4:])
	}
	return e
}

// errorOfExperimenter is the type of errors that OpenFlow does not define.
const errorOfExperimenter = 0xffff

// String returns the error's name, as OVS has it, or its numbers.
func (e errorCode) String() string {
	if e.kind == errorOfExperimenter {
		if name, ok := niciraErrors[e.code]; ok && e.experimenter == nicira {
			return name
		}
		return fmt.Sprintf("OpenFlow error %d of experimenter %#x", e.code, e.experimenter)
	}
	if names := errorNames[e.kind]; int(e.code) < len(names) {
		return names[e.code]
	}
	return fmt.Sprintf("OpenFlow error of type %d, code %d", e.kind, e.code)
}

// errorNames are those that can answer what we send, by type and code.
var errorNames = map[uint16][]string{
	0: {"OFPHFC_INCOMPATIBLE", "OFPHFC_EPERM"},
	1: {
		"OFPBRC_BAD_VERSION", "OFPBRC_BAD_TYPE", "OFPBRC_BAD_STAT", "OFPBRC_BAD_VENDOR", "OFPBRC_BAD_SUBTYPE", "OFPBRC_EPERM",
		"OFPBRC_BAD_LEN", "OFPBRC_BUFFER_EMPTY", "OFPBRC_BUFFER_UNKNOWN", "OFPBRC_BAD_TABLE_ID", "OFPBRC_IS_SECONDARY",
		"OFPBRC_BAD_PORT", "OFPBRC_BAD_PACKET",
	},
	2: {
		"OFPBAC_BAD_TYPE", "OFPBAC_BAD_LEN", "OFPBAC_BAD_VENDOR", "OFPBAC_BAD_VENDOR_TYPE", "OFPBAC_BAD_OUT_PORT",
		"OFPBAC_BAD_ARGUMENT", "OFPBAC_EPERM", "OFPBAC_TOO_MANY", "OFPBAC_BAD_QUEUE", "OFPBAC_BAD_OUT_GROUP",
		"OFPBAC_MATCH_INCONSISTENT", "OFPBAC_UNSUPPORTED_ORDER", "OFPBAC_BAD_TAG", "OFPBAC_BAD_SET_TYPE", "OFPBAC_BAD_SET_LEN",
		"OFPBAC_BAD_SET_ARGUMENT",
	},
	3: {
		"OFPBIC_UNKNOWN_INST", "OFPBIC_UNSUP_INST", "OFPBIC_BAD_TABLE_ID", "OFPBIC_UNSUP_METADATA", "OFPBIC_UNSUP_METADATA_MASK",
		"OFPBIC_BAD_EXPERIMENTER", "OFPBIC_BAD_EXP_TYPE", "OFPBIC_BAD_LEN", "OFPBIC_EPERM", "OFPBIC_DUP_INST",
	},
	4: {
		"OFPBMC_BAD_TYPE", "OFPBMC_BAD_LEN", "OFPBMC_BAD_TAG", "OFPBMC_BAD_DL_ADDR_MASK", "OFPBMC_BAD_NW_ADDR_MASK",
		"OFPBMC_BAD_WILDCARDS", "OFPBMC_BAD_FIELD", "OFPBMC_BAD_VALUE", "OFPBMC_BAD_MASK", "OFPBMC_BAD_PREREQ", "OFPBMC_DUP_FIELD",
		"OFPBMC_EPERM",
	},
	5: {
		"OFPFMFC_UNKNOWN", "OFPFMFC_TABLE_FULL", "OFPFMFC_BAD_TABLE_ID", "OFPFMFC_OVERLAP", "OFPFMFC_EPERM", "OFPFMFC_BAD_TIMEOUT",
		"OFPFMFC_BAD_COMMAND", "OFPFMFC_BAD_FLAGS", "OFPFMFC_CANT_SYNC", "OFPFMFC_BAD_PRIORITY", "OFPFMFC_IS_SYNC",
	},
	17: {
		"OFPBFC_UNKNOWN", "OFPBFC_EPERM", "OFPBFC_BAD_ID", "OFPBFC_BUNDLE_EXIST", "OFPBFC_BUNDLE_CLOSED", "OFPBFC_OUT_OF_BUNDLES",
		"OFPBFC_BAD_TYPE", "OFPBFC_BAD_FLAGS", "OFPBFC_MSG_BAD_LEN", "OFPBFC_MSG_BAD_XID", "OFPBFC_MSG_UNSUP", "OFPBFC_MSG_CONFLICT",
		"OFPBFC_MSG_TOO_MANY", "OFPBFC_MSG_FAILED", "OFPBFC_TIMEOUT", "OFPBFC_BUNDLE_IN_PROGRESS",
	},
}

// niciraErrors are Open vSwitch's own, by code.
var niciraErrors = map[uint16]string{
	2: "NXBRC_NXM_INVALID", 3: "NXBRC_NXM_BAD_TYPE", 4: "NXBRC_MUST_BE_ZERO", 11: "NXBAC_MUST_BE_ZERO", 12: "NXFMFC_HARDWARE",
	13: "NXFMFC_BAD_TABLE_ID", 15: "NXBAC_BAD_CONJUNCTION", 39: "NXBAC_BAD_HEADER_TYPE",
	42: "NXBAC_CT_DATAPATH_SUPPORT", 43: "NXBMC_CT_DATAPATH_SUPPORT",
}
