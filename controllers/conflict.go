package controllers

import v1 "github.com/softphone-operator/softphone-operator/api/v1"

// rival is the older account with the same address of record, nil when there is
// none. Two lines of one address would fight for one binding, or as trunks for the
// same calls, so the younger yields. An account that is suspended or going away
// claims no address.
func rival(acc *v1.SoftphoneAccount, others []v1.SoftphoneAccount) *v1.SoftphoneAccount {
	var oldest *v1.SoftphoneAccount
	for i := range others {
		o := &others[i]
		if o.Name == acc.Name || o.Suspended() || !o.DeletionTimestamp.IsZero() || !older(o, acc) {
			continue
		}
		if oldest == nil || older(o, oldest) {
			oldest = o
		}
	}
	return oldest
}

// older orders accounts by age, those of one second by name.
func older(a, b *v1.SoftphoneAccount) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}
