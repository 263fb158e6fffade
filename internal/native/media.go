package native

import (
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// media maps extensions of audio and video files to their media types. The
// system's table is not asked: it differs from machine to machine, and calls
// .ts a translation file on some.
var media = map[string]string{
	".3gp": "video/3gpp", ".asf": "video/x-ms-asf", ".avi": "video/x-msvideo", ".divx": "video/x-msvideo",
	".flv": "video/x-flv", ".m2ts": "video/mp2t", ".m4v": "video/mp4", ".mkv": "video/x-matroska",
	".mov": "video/quicktime", ".mp4": "video/mp4", ".mpeg": "video/mpeg", ".mpg": "video/mpeg",
	".mts": "video/mp2t", ".ogm": "video/ogg", ".ogv": "video/ogg", ".rmvb": "application/vnd.rn-realmedia-vbr",
	".ts": "video/mp2t", ".tsv": "video/mp2t", ".vob": "video/mpeg", ".webm": "video/webm", ".wmv": "video/x-ms-wmv",
	".aac": "audio/aac", ".ac3": "audio/ac3", ".flac": "audio/flac", ".m4a": "audio/mp4", ".m4b": "audio/mp4",
	".mka": "audio/x-matroska", ".mp2": "audio/mpeg", ".mp3": "audio/mpeg", ".oga": "audio/ogg", ".ogg": "audio/ogg",
	".opus": "audio/ogg", ".wav": "audio/wav", ".wma": "audio/x-ms-wma",
}

// unknownType is the media type of bytes of which nothing is known.
const unknownType = "application/octet-stream"

// MediaType returns the media type of a file by its name;
// application/octet-stream where the name does not tell.
func MediaType(name string) string {
	if t, ok := media[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	return unknownType
}

// sniff returns the media type of a file that begins with p, if it is one that
// players know. It never is one that a browser would run.
func sniff(p []byte) string {
	if len(p) > mpegts.PacketSize && p[0] == mpegts.SyncByte && p[mpegts.PacketSize] == mpegts.SyncByte {
		return "video/mp2t"
	}
	t := http.DetectContentType(p)
	if strings.HasPrefix(t, "video/") || strings.HasPrefix(t, "audio/") || t == "application/ogg" {
		return t
	}
	return unknownType
}

// learnType takes the beginning of the file for its media type where the name
// did not tell it.
func (s *Session) learnType(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mediaType == unknownType {
		s.mediaType = sniff(p)
	}
}

// pick returns the file of an index, or for FileAuto the largest that is audio
// or video by its name, else the largest.
func (i Info) pick(index int) (File, error) {
	if index != FileAuto {
		for _, f := range i.Files {
			if f.Index == index {
				return f, nil
			}
		}
		return File{}, &Error{Reason: NoSuchFile, Detail: fmt.Sprintf("there is no file %d: this content has files 0 to %d", index, len(i.Files)-1)}
	}
	var best *File
	for n := range i.Files {
		f := &i.Files[n]
		if best == nil || better(*f, *best) {
			best = f
		}
	}
	if best == nil {
		return File{}, &Error{Reason: NoSuchFile, Detail: "this content has no files"}
	}
	return *best, nil
}

func better(f, than File) bool {
	playable, was := MediaType(f.Path) != unknownType, MediaType(than.Path) != unknownType
	if playable != was {
		return playable
	}
	return f.Size > than.Size
}
