"""Every problem by its stable code: status, title and advice, in Indonesian and English."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem. `code` never changes and is never translated."""

    code: str
    status: int
    title_id: str
    title_en: str
    advice_id: str
    advice_en: str

    def title(self, language: str) -> str:
        return self.title_en if language == "en" else self.title_id

    def advice(self, language: str) -> str:
        return self.advice_en if language == "en" else self.advice_id


# code | status | title (id) | title (en) | advice (id) | advice (en)
_ROWS = """
token_missing|401|Anda belum masuk|You are not signed in|Kirim token akses pada header Authorization: Bearer.|Send an access token in the header Authorization: Bearer.
token_expired|401|Token sudah kedaluwarsa|The token has expired|Masuk lagi untuk mendapat token baru.|Sign in again for a new token.
token_invalid|401|Token tidak sah|The token is not valid|Masuk lagi untuk mendapat token baru.|Sign in again for a new token.
credentials_invalid|401|Nama pengguna atau kata sandi salah|The user name or password is wrong|Periksa keduanya, lalu coba lagi.|Check both and try again.
invalid_client|401|Klien tidak dikenal|The client is not known|Periksa client_id dan client_secret.|Check client_id and client_secret.
invalid_request|400|Permintaan token tidak lengkap|The token request is incomplete|Kirim grant_type sebagai application/x-www-form-urlencoded.|Send grant_type as application/x-www-form-urlencoded.
unsupported_grant_type|400|Jenis grant tidak didukung|The grant type is not supported|Gunakan grant_type=client_credentials.|Use grant_type=client_credentials.
not_found|404|Tidak ditemukan|Not found|Data ini tidak ada, atau di luar wewenang Anda.|There is no such thing, or it is out of your scope.
ticket_not_arrived|404|Laporan dengan tiket ini belum masuk|The report of this ticket has not arrived|Nomornya benar, tetapi laporannya belum sampai. Petugas dan pengawasnya diberi tahu; coba lagi besok, atau datang ke kantor.|The number is right, but the report has not come in. Whoever took it and the supervisor are told; try again tomorrow, or come to the office.
ticket_or_pin_wrong|404|Nomor tiket atau PIN salah|The ticket or its PIN is wrong|Periksa keduanya. PIN baru bisa diminta di kantor dengan membawa dokumen.|Check both. The desk gives a new PIN against documents.
method_not_allowed|405|Metode tidak diizinkan|The method is not allowed here|Lihat header Allow.|See the header Allow.
request_timeout|408|Kiriman terlalu lama|The body took too long to arrive|Kirim ulang; kunci idempotensi yang sama aman dipakai.|Send it again; the same idempotency key is safe to use.
body_too_large|413|Kiriman terlalu besar|The body is too large|Batas untuk JSON adalah 1 MiB.|The limit for JSON is 1 MiB.
unsupported_media_type|415|Jenis isi tidak didukung|The content type is not supported|Kirim application/json.|Send application/json.
unknown_parameter|400|Parameter tidak dikenal|The query has an unknown parameter|Lihat errors; dokumentasi menyebut parameter yang ada.|See errors; the documentation names the parameters there are.
parameter_invalid|400|Parameter tidak sah|A parameter or header is not valid|Lihat errors.|See errors.
cursor_invalid|400|Kursor tidak sah|The cursor is not valid|Mulai lagi tanpa kursor; kursor hanya berlaku untuk saringan yang sama.|Begin again without a cursor; a cursor is good for the same filters only.
idempotency_key_missing|400|Kunci idempotensi wajib|An idempotency key is required|Kirim header Idempotency-Key dengan 16 sampai 128 huruf, angka, _ atau -.|Send a header Idempotency-Key of 16 to 128 letters, digits, _ or -.
idempotency_key_invalid|400|Kunci idempotensi tidak sah|The idempotency key is not valid|Gunakan 16 sampai 128 huruf, angka, _ atau -.|Use 16 to 128 letters, digits, _ or -.
device_unknown|400|Perangkat tidak dikenal|The device is not known|Periksa Device-Id; perangkat didaftarkan dengan POST /v1/devices.|Check Device-Id; devices are registered with POST /v1/devices.
device_sequence_taken|409|Nomor urut sudah dipakai|The sequence number came with other content|Kirim lagi dengan nomor di atas highest_sequence.|Send it again under a number above highest_sequence.
idempotency_key_in_use|409|Permintaan yang sama sedang diproses|The same request is under way|Tunggu sebentar, lalu kirim lagi dengan kunci yang sama.|Wait a moment, then send it again under the same key.
idempotency_key_reused|422|Kunci idempotensi dipakai untuk isi lain|The idempotency key was used for other content|Gunakan kunci baru untuk permintaan baru.|Use a new key for a new request.
malformed_json|422|Isi bukan JSON yang sah|The body is not valid JSON|Kirim satu objek JSON dalam UTF-8: tanpa NaN, Infinity, bilangan di luar jangkauan, atau nama ganda, dan paling dalam 32 tingkat.|Send one JSON object in UTF-8: without NaN, Infinity, numbers past any range or repeated names, and at most 32 levels deep.
validation_failed|422|Isian tidak sah|The content is not valid|Lihat errors: setiap baris menyebut tempat dan alasannya.|See errors: each names the place and the reason.
unknown_action|422|Tindakan tidak dikenal|There is no such action|Dokumentasi menyebut tindakan yang ada.|The documentation names the actions there are.
action_data|422|Data tindakan tidak lengkap|The action needs more data|Lihat errors.|See errors.
missing|422|Isian wajib kurang|Something required is missing|Lihat errors.|See errors.
note_required|422|Catatan wajib diisi|A note is required|Tulis catatan pada note.|Write a note in note.
reason_required|422|Alasan wajib diisi|A reason is required|Isi reason.|Give a reason.
reason_not_allowed|422|Alasan tidak berlaku di sini|The reason is not one of those for this action|Lihat errors untuk alasan yang berlaku.|See errors for those that are.
received_in_future|422|Waktu terima di masa depan|The time of receipt lies in the future|Periksa jam dan tanggal received_at.|Check the clock and the date of received_at.
received_too_long_ago|422|Waktu terima terlalu lama|The time of receipt is too long ago|received_at paling lama 90 hari yang lalu.|received_at may be at most 90 days back.
happened_before_previous_step|422|Waktu kejadian sebelum langkah terakhir|It is said to have happened before the previous step|Periksa happened_at.|Check happened_at.
unknown_ticket|422|Nomor pengaduan tidak dipesan|The ticket is not a reserved one|Gunakan nomor dari POST /v1/ticket-books di kota yang sama.|Use one from POST /v1/ticket-books of the same city.
ticket_used|409|Nomor pengaduan sudah dipakai|The ticket has been used|Satu nomor untuk satu pengaduan: lihat pengaduan dengan nomor itu.|Each is for one complaint: see the complaint with that ticket.
unknown_region|422|Wilayah tidak dikenal|The region is not known|Gunakan kode kelurahan Kemendagri dalam wilayah kerja Anda.|Use the Kemendagri code of a village in your area.
unknown_program|422|Program tidak dikenal|The programme is not known|Lihat GET /v1/programs.|See GET /v1/programs.
unknown_household|422|Rumah tangga tidak dikenal|The household is not known|Gunakan id dari cek registri.|Use an id from the registry check.
unknown_member|422|Anggota rumah tangga tidak dikenal|The household member is not known|Gunakan id dari GET /v1/households/{id}.|Use an id from GET /v1/households/{id}.
unknown_complaint|422|Pengaduan tidak dikenal|The complaint is not known|Pengaduan ini tidak ada, atau di luar wewenang Anda.|There is no such complaint, or it is out of your scope.
unknown_facilitator|422|Fasilitator tidak dikenal|The facilitator is not known|Pilih fasilitator aktif dari GET /v1/facilitators.|Choose an active one from GET /v1/facilitators.
same_region|422|Pengaduan sudah di wilayah itu|The complaint is in that region already|Sebut kelurahan lain, atau wilayah di luar kota.|Name another village, or a region outside the city.
joined_into_itself|422|Pengaduan digabungkan ke dirinya sendiri|The complaint would be joined into itself|Sebut pengaduan yang lebih dahulu.|Name the earlier one.
not_earlier|409|Pengaduan itu bukan yang lebih dahulu|That complaint is not the earlier one|Gabungkan yang kemudian ke yang lebih dahulu.|Join the later one into the earlier one.
no_longer_open|409|Pengaduan itu sudah ditutup|That complaint is closed|Lanjutkan pengaduan ini sendiri; yang sudah digabungkan menyebut tujuannya di joined_into.|Let this one go its own way; one that was joined itself says into which in joined_into.
not_the_same_person|409|Bukan orang atau rumah tangga yang sama|It is not about the same person or household|Periksa NIK, nomor KK, rumah tangga, atau nama dan kelurahan keduanya.|Compare national id, family card, household, or name and village of both.
drafts_stay_behind|409|Rancangan tidak dapat ikut|Drafts could not go along|Pengaduan yang lebih dahulu sudah diputuskan; batalkan rancangan di sini, atau lanjutkan pengaduan ini sendiri.|The earlier one is decided already: cancel the drafts here, or let this one go its own way.
same_facilitator|422|Fasilitator sudah ditugaskan|The facilitator is assigned already|Pilih fasilitator lain.|Choose another one.
unknown_item|422|Rujukan bukan bagian pengaduan ini|The referral is no item of this complaint|Lihat referral_ids.|See referral_ids.
unknown_reference|422|Rujukan data tidak dikenal|Something that was referred to is not known|Lihat errors.|See errors.
target_mismatch|422|Sasaran tidak sesuai|The kind does not take this target|Sebut tepat satu: household_id atau member_id, sesuai jenisnya.|Name exactly one that the kind takes: household_id or member_id.
unknown_duplicate|422|Ganda tidak dikenal|The duplicate to merge into is not known|into_id harus rumah tangga atau orang lain di kota yang sama.|into_id must be another household or person of the same city.
evidence_missing|422|Bukti kematian belum ada|Evidence of the death is missing|Lampirkan akta, surat kelurahan atau RT, atau dua saksi dengan nama.|Give a certificate, a letter of kelurahan or RT, or two named witnesses.
implausible_date|422|Tanggal tidak masuk akal|The date is not plausible|Tanggal harus antara 2 Januari 1900 dan hari ini.|The date must lie between 2 January 1900 and today.
nothing_left|422|Semua isian ditolak|Every field is refused|Gunakan reject untuk seluruh perubahan.|Refuse the whole change instead.
no_head|422|Kepala belum disebut|No head of the household is named|Sebut tepat satu kepala.|Name exactly one head.
more_than_one_head|422|Lebih dari satu kepala|More than one head is named|Sebut tepat satu kepala.|Name exactly one head.
unknown_field|422|Isian tidak dikenal|A field is not known|Lihat errors.|See errors.
not_an_option|422|Bukan salah satu pilihan|It is not one of the options|Lihat errors.|See errors.
wrong_type|422|Jenis nilai salah|A value has the wrong type|Lihat errors.|See errors.
too_small|422|Nilai terlalu kecil|A value is too small|Lihat errors.|See errors.
too_large|422|Nilai terlalu besar|A value is too large|Lihat errors.|See errors.
too_long|422|Teks terlalu panjang|A text is too long|Lihat errors.|See errors.
invalid|422|Isian tidak sah|A field is not valid|Lihat errors.|See errors.
decided_with_complaint|409|Diputuskan bersama pengaduannya|It is decided with its complaint|Putuskan pengaduannya.|Decide on the complaint.
merged_already|409|Sudah digabungkan|It was merged into another already|Gunakan yang tersisa: merged_into.|Use the one that stays: merged_into.
no_longer_registered|409|Tidak ada lagi di registri|It is no longer in the registry|Ajukan penambahan bila masih perlu.|Propose to add it if it still is needed.
reported_already|409|Kematian sudah dilaporkan|The death is reported already|Lihat perubahan yang ada.|See the change that is there.
not_reported_dead|409|Tidak dilaporkan meninggal|The person is not reported dead|Tidak ada yang perlu dibatalkan.|There is nothing to revoke.
person_on_hold|409|Orang ini dilaporkan meninggal|The person is reported dead|Tunggu keputusan, atau cabut laporan kematian.|Wait for the decision, or revoke the death.
rule_invalid|422|Kriteria tidak masuk akal|The criteria make no sense|Lihat errors: setiap baris menunjuk bagian kriteria dan alasannya.|See errors: each points into the criteria and gives the reason.
ends_before_it_begins|422|Berakhir sebelum mulai|It ends before it begins|Periksa valid_from dan valid_until.|Check valid_from and valid_until.
begins_in_the_past|422|Mulai di masa lalu|It begins in the past|Tetapkan valid_from hari ini atau nanti; yang sudah disaring tidak berubah.|Let valid_from be today or later; who was screened already stays so.
category_not_allowed|422|Kategori hanya untuk pengaduan|Only a complaint has a category|Kosongkan category untuk pertanyaan dan saran.|Leave category null for questions and suggestions.
identity_not_shown|422|Tidak ada dokumen identitas|No document says who asks|Sebut id_card, family_card, kelurahan_letter, atau birth_certificate di documents_seen.|Name id_card, family_card, kelurahan_letter or birth_certificate in documents_seen.
household_choice_required|422|Pilih rumah tangga|A household must be chosen|Cek menemukan beberapa yang mirip: kirim data.household_id, atau null bila tidak satu pun.|The check found similar ones: send data.household_id, or null for none of them.
criterion_required|422|Kriteria pencarian wajib|Something to look for is required|Kirim nomor atau nama.|Send a number or a name.
unknown_form_version|422|Versi formulir tidak dikenal|The form version is not known|Lihat GET /v1/survey-forms.|See GET /v1/survey-forms.
invalid_answers|422|Jawaban survei tidak sah|Answers of the survey are not valid|Lihat errors.|See errors.
needs_contradict|422|Kebutuhan bertentangan|The needs contradict each other|no_needs hanya bila tidak ada kebutuhan yang disebut.|Say no_needs only where no need is named.
form_required|415|Kirim formulir multipart|A multipart form is required|Kirim multipart/form-data dengan bagian file.|Send multipart/form-data with a part named file.
malformed_form|422|Formulir tidak dapat dibaca|The form cannot be read|Kirim setiap isian sekali, dan satu file.|Send each field once, and one file.
file_too_large|413|Berkas terlalu besar|The file is too large|Batasnya 64 MiB; bagi berkas, atau pakai slrt import-registry.|The limit is 64 MiB; split the file, or use slrt import-registry.
document_too_large|413|Dokumen terlalu besar|The document is too large|Batasnya 10 MiB; kirim foto yang lebih kecil, atau PDF dengan halaman lebih sedikit.|The limit is 10 MiB; send a smaller photo, or a PDF of fewer pages.
file_type_not_taken|415|Jenis berkas tidak diterima|The type of file is not taken|Kirim JPEG, PNG, WebP, atau PDF, dan sebut jenisnya pada bagian file.|Send JPEG, PNG, WebP or PDF, and say which in the part named file.
file_type_mismatch|422|Isi berkas bukan jenis yang disebut|The file is not of the type it says|Sebut jenis yang benar; berkas harus dimulai sebagaimana jenisnya.|Say the right type; the file must begin as that type does.
too_many_pixels|422|Gambar terlalu besar|The image has too many pixels|Paling banyak 25 megapiksel; perkecil gambarnya.|At most 25 megapixels; make it smaller.
damaged_file|422|Berkas rusak atau terpotong|The file is damaged or cut off|Ambil foto lagi, atau simpan ulang dokumennya, lalu kirim.|Take the photo again, or save the document anew, and send it.
file_too_demanding|422|Berkas terlalu berat untuk dibuka|The file takes too much to open|Ambil foto dokumennya, atau cetak ulang ke PDF.|Take a photo of the document, or print it to PDF anew.
encrypted_pdf|422|PDF terkunci|The PDF is encrypted|Simpan tanpa kata sandi, lalu kirim lagi.|Save it without a password and send it again.
active_pdf|422|PDF berisi skrip atau lampiran|The PDF holds scripts, actions or files|Cetak dokumennya ke PDF baru, atau kirim fotonya.|Print the document to a new PDF, or send a photo of it.
unknown_document|422|Dokumen tidak dikenal|The document is not known|Sebut id dokumen dari pengaduan ini.|Name the id of a document of this complaint.
document_kept_already|409|Berkas sudah ada sebagai jenis lain|The file is there already as another kind|Lihat document_id; berkas yang sama disimpan satu kali per pengaduan.|See document_id; the same file is kept once per complaint.
complaint_closed|409|Pengaduan sudah ditutup|The complaint is closed|Dokumen hanya diterima selama pengaduan masih bisa dibuka kembali.|Documents are taken only while the complaint can still be opened again.
map_invalid|422|Peta kolom tidak sah|The column map is not valid|Lihat errors; dokumentasi impor menyebut bentuknya.|See errors; the page about imports describes its form.
empty_file|422|Berkas kosong|The file is empty|Kirim berkas dengan baris judul.|Send a file with a header row.
no_rows|422|Berkas tanpa baris data|The file has no rows|Kirim berkas dengan baris data di bawah judul.|Send a file with rows below its header.
unreadable_file|422|Berkas tidak dapat dibaca|The file cannot be read|Kirim CSV, atau xlsx yang utuh.|Send CSV, or an xlsx file that is whole.
encoding_unknown|422|Pengodean tidak dikenal|The encoding is not known|Simpan berkas sebagai CSV UTF-8.|Save the file as CSV in UTF-8.
wrong_columns|422|Kolom tidak sesuai|The columns are not those of the layout|Lihat result.missing dan result.unknown.|See result.missing and result.unknown.
import_under_way|409|Impor lain sedang berjalan|Another import of this city is under way|Tunggu sampai operation_id selesai, atau batalkan.|Wait until operation_id has ended, or cancel it.
newer_version_applied|409|Versi yang lebih baru sudah diterapkan|A newer version of this source has been applied|Periksa as_of.|Check as_of.
operation_finished|409|Pekerjaan sudah selesai|The operation has ended already|Lihat status.|See status.
abandoned|409|Pekerjaan ditinggalkan|The operation was abandoned|Jalankan lagi dengan berkas yang sama.|Run it again with the same file.
role_not_allowed|403|Peran Anda tidak mengizinkan|Your role does not allow this|Peran dan wilayah Anda tidak pernah memberi tindakan ini.|Your roles and regions never give this action.
four_eyes|403|Harus diputuskan orang lain|Another person must decide|Anda sudah punya bagian dalam kasus ini.|You have had a part in this case.
conflict_of_interest|403|Benturan kepentingan|There is a conflict of interest|Orang lain harus menangani kasus ini.|Another person must handle this case.
precondition_required|428|Sebutkan versi yang diubah|Say which version you change|Kirim header If-Match dengan ETag yang terakhir Anda baca.|Send a header If-Match with the ETag you read last.
stale_version|412|Data sudah berubah|It has changed since you read it|Baca lagi, lalu ulangi bila masih perlu.|Read it again, then repeat if it is still needed.
action_not_allowed|409|Tindakan tidak bisa dilakukan sekarang|The action is not possible now|Lihat state dan actions.|See state and actions.
client_ref_taken|409|client_ref sudah dipakai untuk isi lain|The client_ref was used for other content|Gunakan client_ref baru untuk pengaduan baru.|Use a new client_ref for a new complaint.
documents_missing|409|Dokumen belum lengkap|Documents are missing|Catat di documents_seen, atau bebaskan di documents_waived.|Record them in documents_seen, or waive them in documents_waived.
check_missing|409|Cek registri belum dilakukan|The registry check is missing|Lakukan POST /v1/registry/checks dengan complaint_id.|Do POST /v1/registry/checks with complaint_id.
visit_required|409|Wajib kunjungan rumah|A home visit is required|Tugaskan fasilitator.|Assign a facilitator.
nothing_to_submit|409|Belum ada yang diusulkan|There is nothing to decide on|Buat rujukan dulu, atau jawab.|Draft a referral first, or answer.
nothing_to_forward|409|Tidak ada yang diteruskan|Nothing is left to forward|Gunakan tindakan answer.|Use the action answer.
survey_missing|409|Survei belum ada|The survey is missing|Kembalikan untuk dilengkapi, jawab, atau tolak.|Return it for correction, answer or reject it.
survey_incomplete|409|Survei belum lengkap|The survey is incomplete|Lihat errors, lengkapi, lalu kirim lagi.|See errors, complete it, then submit it again.
reopen_too_late|409|Sudah lewat 14 hari|It was closed more than 14 days ago|Ajukan pengaduan baru.|File a new complaint.
reopened_twice|409|Sudah dua kali dibuka lagi|It was reopened twice already|Ajukan pengaduan baru.|File a new complaint.
quota_full|409|Kuota penuh|The quota is full|Tunggu giliran, atau minta pengelola program menaikkan kuota.|Wait for a place, or let the programme's manager raise the quota.
no_letter|409|Tidak ada surat|There is no letter|Surat ada sejak rujukan dikirim, selama tidak ditolak atau dibatalkan; atau sejak pengaduan dipindahkan ke kota lain.|There is one from the sending of a referral on, unless it was declined or cancelled; or from the transfer of a complaint to another city on.
nothing_to_rate|409|Belum ada jawaban untuk dinilai|There is no answer to rate|Tunggu jawabannya dulu.|Wait for the answer first.
rated_too_late|409|Sudah lewat 14 hari|It was closed more than 14 days ago|Penilaian bisa diberikan sampai 14 hari setelah selesai.|It can be rated until 14 days after closing.
drafted_already|409|Rujukan sudah dibuat|A referral has been drafted of it already|Lihat referral_id.|See referral_id.
quota_overlaps|409|Sudah ada kuota untuk wilayah dan waktu ini|There is a quota for this region and time already|Ubah kuota yang ada, atau pilih waktu lain.|Change the one there is, or choose another time.
quota_in_use|409|Kuota sedang dipakai|The quota is in use|Masih ada rujukan yang memegang tempat atau menunggu.|Referrals still hold places in it or wait for one.
quota_below_taken|422|Kuota di bawah tempat yang sudah terpakai|The quota is below what is taken|Lihat errors untuk angka terkecil.|See errors for the least it can be.
period_invalid|422|Jangka waktu tidak sah|The period is not valid|ends_on tidak boleh sebelum starts_on, paling lama lima tahun.|ends_on may not come before starts_on, and five years are the most.
nothing_to_dispatch|409|Tidak ada yang dikirim|There is nothing to dispatch|Semua perubahan yang disetujui sudah ada dalam kiriman.|Every approved change is in a batch already.
acknowledged_already|409|Sudah dijawab lain|It was acknowledged otherwise already|Lihat errors dan status baris itu; jawaban pusat tidak diubah.|See errors and the status of the row; the centre's answer is not changed.
not_dispatchable|422|Belum disetujui atau sudah dikirim|It is not approved, or dispatched already|Lihat errors; hanya perubahan manager_approved yang dikirim.|See errors; only changes that are manager_approved are sent.
malformed_file|422|Berkas tidak bisa dibaca|The file cannot be read|Kirim CSV UTF-8 dengan baris judul; errors menyebut kolom atau baris yang keliru.|Send CSV in UTF-8 with a header row; errors name the columns or the line at fault.
feed_reset|410|Feed mulai dari awal|The feed has begun anew|Ambil ekspor lagi, lalu ikuti dari cursor yang tertera di sana.|Take an export again, then follow from the cursor that it states.
too_early|409|Belum 120 hari|It is too early|Pemilik program punya 120 hari untuk menjawab.|Programme owners have 120 days to answer.
contact_missing|409|Warga belum dihubungi|Nobody has tried to reach the citizen|Catat upaya menghubungi warga dulu.|Record an attempt to reach the citizen first.
no_longer_changeable|409|Tidak bisa diubah lagi|It can no longer be changed|Lihat state; isian awal hanya bisa diubah sebelum ditugaskan.|See state; intake facts change only before it is assigned.
preview_missing|409|Dampaknya belum ditunjukkan|Whom it affects has not been shown|Panggil preview untuk draf ini seperti adanya sekarang, juga bila versi lain terbit sesudah preview terakhir, lalu terbitkan.|Call preview for the draft as it is now, and again where another version was published since, then publish it.
not_screened|409|Rumah tangga tidak disaring|The household is not screened|Rumah tangga ini sudah pindah, meninggal, tidak ditemukan, atau digabung.|The household has moved, died, was not found or was merged.
no_criteria|409|Belum ada kriteria yang berlaku|No criteria are in force|Terbitkan kriteria program ini lebih dulu.|Publish criteria of the programme first.
too_late_to_draft|409|Terlambat membuat rujukan|It is too late to draft a referral|Minta supervisor mengembalikan pengaduan.|Ask the supervisor to return the complaint.
no_facilitator|409|Tidak ada fasilitator|There is no facilitator to send|Angkat atau aktifkan fasilitator di kota ini dulu.|Appoint or activate a facilitator in the city first.
username_taken|409|Nama pengguna sudah dipakai|The user name is taken|Pilih nama lain.|Choose another one.
last_admin|409|Admin terakhir|This is the last admin|Angkat admin lain dulu.|Appoint another admin first.
too_many_endpoints|409|Terlalu banyak titik akhir|There are too many endpoints|Hapus yang tidak dipakai; paling banyak 20.|Delete one that is not used; 20 at most.
endpoint_disabled|409|Titik akhir dinonaktifkan|The endpoint is disabled|Aktifkan lagi dengan PATCH enabled: true.|Enable it again by PATCH with enabled: true.
too_many_requests|429|Terlalu banyak permintaan|Too many requests|Tunggu selama Retry-After.|Wait for Retry-After.
internal_error|500|Kesalahan di pihak kami|Something went wrong on our side|Tidak ada yang setengah tersimpan. Sebutkan instance bila melapor.|Nothing is half done. Name the instance when you report it.
database_unavailable|503|Basis data tidak terjangkau|The database cannot be reached|Coba lagi setelah Retry-After dengan kunci yang sama.|Try again after Retry-After under the same key.
busy|503|Sedang sibuk|Too busy just now|Coba lagi setelah Retry-After dengan kunci yang sama.|Try again after Retry-After under the same key.
not_ready|503|Belum siap|Not ready|Coba lagi setelah Retry-After.|Try again after Retry-After.
http_error|400|Permintaan tidak sah|The request is not valid|Periksa permintaan Anda.|Check your request.
"""

CATALOGUE: dict[str, Problem] = {
    code: Problem(code, int(status), *texts)
    for code, status, *texts in (row.split("|") for row in _ROWS.strip().splitlines())
}

# What is wrong with one field: code, Indonesian, English; {…} are limits, never values typed.
_FAULTS = """
missing|Wajib diisi.|Is required.
unknown_field|Isian tidak dikenal.|Is not a known field.
unknown_parameter|Parameter tidak dikenal.|Is not a known parameter.
wrong_type|Jenis nilai salah.|Has the wrong type.
not_an_option|Bukan salah satu pilihan: {options}.|Is not one of the options: {options}.
too_short|Terlalu pendek; paling sedikit {min}.|Is too short; at least {min}.
too_long|Terlalu panjang; paling banyak {max}.|Is too long; at most {max}.
too_few|Terlalu sedikit; paling sedikit {min}.|Are too few; at least {min}.
too_many|Terlalu banyak; paling banyak {max}.|Are too many; at most {max}.
too_small|Terlalu kecil; paling kecil {min}.|Is too small; at least {min}.
too_large|Terlalu besar; paling besar {max}.|Is too large; at most {max}.
invalid_format|Bentuknya salah.|Has the wrong form.
invalid_datetime|Bukan waktu yang sah; gunakan RFC 3339 dengan offset.|Is not a valid time; use RFC 3339 with an offset.
offset_required|Waktu harus menyebut offset, misalnya +07:00.|The time needs an offset, such as +07:00.
instant_out_of_range|Tahun harus antara 1900 dan 2200.|The year must lie between 1900 and 2200.
invalid_url|Bukan URL lengkap tanpa nama pengguna dan tanpa #.|Is not a full URL without user name and without #.
https_required|Harus https.|Must be https.
address_not_public|Alamatnya bukan alamat publik.|Its address is not a public one.
line_break|Hanya satu baris.|Must be one line.
unknown_test|Sebut tepat satu: all, any, none, someone, fact, age, decile, region, registered, recipient_of, atau national_id.|Name exactly one of all, any, none, someone, fact, age, decile, region, registered, recipient_of, national_id.
test_ambiguous|Sebut satu cara membandingkan: is, in, contains, atau batas.|Name one way of comparing: is, in, contains, or limits.
too_deep|Terlalu dalam; paling banyak 6 tingkat.|Is too deep; at most 6 levels.
unknown_fact|Fakta tidak dikenal.|Is no known fact.
contradictory|Tidak mungkin terpenuhi.|Can never hold.
takes_everyone|Tidak membatasi siapa pun.|Leaves nobody out.
needs_someone|Ini tentang orang; bungkus dengan someone.|Is about a person; put it into someone.
not_about_a_person|Ini tentang rumah tangga; keluarkan dari someone.|Is about the home; take it out of someone.
someone_in_someone|someone tidak boleh di dalam someone.|No someone within someone.
number_in_text|Jangan tulis NIK atau No KK di sini.|Write no national id or family card number here.
nothing_visible|Tidak ada yang terbaca.|Holds nothing to read.
character_not_allowed|Ada karakter yang tidak boleh.|Holds a character that is not allowed.
item_ambiguous|Sebut satu saja: referral_id atau registry_change_id.|Name one: referral_id or registry_change_id.
beneficiary_ambiguous|Sebut satu saja: member_id, household_id, atau name (dengan national_id).|Name one: member_id, household_id, or name (with national_id).
mapping_ambiguous|Sebut program_code untuk program, helper untuk local_helper, dan keduanya tidak untuk none_exists.|Name program_code for program, helper for local_helper, and neither for none_exists.
households_ambiguous|Sebut household_ids, atau region_code (dengan reason dan limit).|Name household_ids, or region_code (with reason and limit).
no_head|Kepala rumah tangga belum disebut.|No head of the household is named.
more_than_one_head|Lebih dari satu kepala rumah tangga.|More than one head of the household is named.
invalid|Tidak sah.|Is not valid.
note_required|Catatan wajib diisi.|A note is required.
reason_required|Alasan wajib diisi.|A reason is required.
reason_not_allowed|Alasan yang berlaku: {allowed}.|Reasons that are allowed: {allowed}.
cell_too_large|Ada sel yang terlalu besar; baris tidak dimuat.|A cell is too large; the row does not land.
unterminated_quote|Tanda kutip tidak ditutup.|A quote is not closed.
quotes_broken|Tanda kutip di tempat yang salah.|A quote stands where none may.
truncated|Berkas terpotong di sini.|The file is cut off here.
too_few_columns|Kolom kurang.|Has too few columns.
too_many_columns|Kolom terlalu banyak.|Has too many columns.
formula|Terlihat seperti rumus.|Looks like a formula.
implausible_date|Tanggal tidak masuk akal.|Is no plausible date.
implausible_age|Umur tidak masuk akal.|Is no plausible age.
region_unknown|Wilayah tidak dikenal, menurut kode maupun nama.|The region is not known, by code or name.
region_ambiguous|Lebih dari satu wilayah cocok.|More than one region fits.
region_contradiction|Kode dan nama wilayah tidak cocok.|Code and name of the region contradict each other.
region_out_of_scope|Wilayah di luar kabupaten/kota impor ini.|The region is outside the regency of this import.
duplicate_row|Orang ini sudah ada di baris lain.|The person stands in another row already.
not_whole|Berkas tidak utuh di sini; tidak seorang pun diakhiri karenanya.|The file is not whole here; nobody is ended for it.
encoding_mixed|Bukan UTF-8; dibaca sebagai Windows-1252.|Is not UTF-8; it was read as Windows-1252.
fact_unreadable|Nilai tidak dikenal; dibiarkan kosong.|The value is not known; it is left out.
household_differs|Data rumah tangga berbeda antarbaris; yang pertama dipakai.|The household is described differently in its rows; the first one counts.
national_id_invalid|Bukan NIK 16 digit; orangnya dimuat tanpa NIK.|Is no national id of 16 digits; the person lands without one.
national_id_structure|Susunan NIK tidak wajar.|The national id has an odd structure.
national_id_birth_date|NIK tidak cocok dengan tanggal lahir atau umur.|The national id does not fit birth date or age.
national_id_sex|NIK tidak cocok dengan jenis kelamin.|The national id does not fit the sex.
national_id_twice|NIK ini ada di dua rumah tangga.|The national id stands in two households.
family_card_number_invalid|Bukan nomor KK 16 digit; dibiarkan kosong.|Is no family card number of 16 digits; it is left out.
sex_unreadable|Jenis kelamin tidak dikenal; dibiarkan kosong.|The sex is not known; it is left out.
birth_date_unreadable|Tanggal lahir tidak terbaca; dibiarkan kosong.|The birth date cannot be read; it is left out.
program_unknown|Program tidak dikenal; dilewati.|The programme is not known; it is skipped.
differs|Berbeda dari versi di peladen.|Differs from the version on the server.
columns_missing|Kolom kurang; harus ada: {columns}.|Lacks columns; there must be: {columns}.
named_twice|Disebut lebih dari sekali.|Is named more than once.
row_ambiguous|Sebut satu saja: change_id atau number.|Name one: change_id or number.
answer_unknown|Harus granted, declined, waitlisted, received, atau kata Indonesianya.|Must be granted, declined, waitlisted, received, or the word in Indonesian.
status_unknown|Harus confirmed, declined, diterima, atau ditolak.|Must be confirmed, declined, diterima or ditolak.
reason_too_long|Alasan paling panjang 200 karakter.|The reason has at most 200 characters.
survey_empty|Survei belum disimpan.|No survey has been saved.
needs_not_said|Sebut kebutuhan, atau nyatakan tidak ada (no_needs).|Name needs, or say that there are none (no_needs).
"""

FAULTS: dict[str, tuple[str, str]] = {
    code: (indonesian, english)
    for code, indonesian, english in (row.split("|") for row in _FAULTS.strip().splitlines())
}


def fault_text(code: str, params: dict[str, object], language: str) -> str:
    """What is wrong with a field, in a language; a problem's own title serves for its code."""
    if code in FAULTS:
        template = FAULTS[code][language == "en"]
        try:
            return template.format_map(params)
        except KeyError:
            return template.split(";")[0].split(":")[0].rstrip(".") + "."
    known = CATALOGUE.get(code)
    return known.title(language) + "." if known else FAULTS["invalid"][language == "en"]
