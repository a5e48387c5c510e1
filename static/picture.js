// Photos of phones are larger than the site takes, so the browser makes them smaller. Without this, people do that.
const MOST = 1024

for (const input of document.querySelectorAll('input[type=file][name=picture]')) {
  input.addEventListener('change', async () => {
    const [file] = input.files
    const image = file && await createImageBitmap(file).catch(() => null)
    if (!image) return
    const scale = Math.min(1, MOST / Math.min(image.width, image.height))
    const canvas = Object.assign(document.createElement('canvas'), { width: Math.round(image.width * scale), height: Math.round(image.height * scale) })
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height)
    const blob = await new Promise(done => canvas.toBlob(done, 'image/webp', .9))
    if (!blob || blob.size >= file.size) return
    const smaller = new DataTransfer()
    smaller.items.add(new File([blob], file.name))
    input.files = smaller.files
  })
}
