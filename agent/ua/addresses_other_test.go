//go:build !linux

package ua

func namespaced() bool { return false }
