// Package fmp4 reads fragmented MP4 from a pipe or a file and hands it out as
// CMAF: for every track a header of its own, and chunks (one moof and one mdat)
// that hold that track alone.
//
// Input that is CMAF already, as from ffmpeg with
//
//	-movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame
//
// passes byte for byte. Fragments that hold several tracks, or whose offsets
// are absolute in the file, are written anew. The first samples of an ffmpeg
// file with frag_keyframe alone lie in moov and mdat; they become one chunk per
// track.
//
// Box structure is read here and not by a library, because chunks keep their
// bytes and every error names the box and its offset in the input; sample
// entries, with their codec configuration, are read by mp4ff. All lengths and
// counts of the input are checked before memory is taken for them.
package fmp4
