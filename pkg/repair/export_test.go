package repair

// Checksum is that of a record's version and JSON object.
func Checksum(version, body string) uint32 { return checksum(version, []byte(body)) }
