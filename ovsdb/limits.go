package ovsdb

// Limit bounds what a container sends or receives. The zero value does not.
type Limit struct {
	RateKbps uint32 // kbit/s, 1 kbit = 1000 bits; 0: no limit
	BurstKb  uint32 // kbit that may come at once after a silence; 0: the switch's own choice
}

// Limits are those of one container. The zero value limits nothing.
type Limits struct {
	In  Limit // to the container: shaped, what is above waits
	Out Limit // from the container: policed, what is above is lost
}
